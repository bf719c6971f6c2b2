"""`diffx decode-latents`: samples of a model of latents as images."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_cli.command import Command
from diffx_cli.console import say
from diffx_cli.folders import check_free
from diffx_cli.options import Shown
from diffx_cli.request import Request
from diffx_core.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

SAMPLES = "samples.safetensors"
FACTS = "sample.json"
LATENTS = "diffx-datasets:latents"


@frozen(kw_only=True)
class DecodeLatentsOptions(Shown):
    """What is decoded by what, and where to.

    Args:
        samples: a folder that diffx sample has written.
        latents: the folder of latents that the model was trained on, which says their scale; by
            default the one that its run names, and for models without one, such as imported ones,
            the scale is that of the autoencoder.
        vae: folder of the AutoencoderKL that they were made by.
        out: folder for the images; by default decoded/ in the folder of samples.
        batch_size: images that are decoded together.
        device: auto, cpu, cuda, cuda:1, mps.
    """

    samples: Path
    latents: Path | None = None
    vae: Path
    out: Path | None = None
    batch_size: int = field(default=16, validator=and_(ge(1), le(65_536)))
    device: str = "auto"


def run(request: Request) -> None:
    """Decode every sample and write the images and a picture of all of them."""
    import torch

    from diffx_cli.devices import device_named
    from diffx_cli.pictures import write_samples
    from diffx_cli.place import claimed
    from diffx_cli.writing import writing
    from diffx_core.dataset import DataSpec
    from diffx_datasets.autoencoder import Autoencoder
    from diffx_datasets.latents import Latents

    options: DecodeLatentsOptions = request.options
    out = options.out or options.samples / "decoded"
    check_free(out, overwrite=None)
    device = device_named(options.device)
    x = _samples(options.samples)
    root = options.latents or _trained_on(options.samples)
    data = None if root is None else Latents(root=root)
    if data is not None and tuple(x.shape[1:]) != data.spec.shape:
        raise DataError(
            f"{options.samples}: has samples {tuple(x.shape[1:])}, not {data.spec.shape}"
        )
    autoencoder = Autoencoder.load(options.vae, device)
    channels = int(autoencoder.model.config.latent_channels)
    if x.ndim != 4 or x.shape[1] != channels:
        shape = tuple(x.shape[1:])
        raise DataError(
            f"{options.samples}: has samples {shape}, not {channels} channels of latents"
        )
    z = autoencoder.unscaled(x) if data is None else data.standard.undone(x)
    columns = max(1, round(math.sqrt(len(x))))
    with claimed(out, out, "", (), overwrite=None) as place:
        parts = [autoencoder.decode(part.to(device)).cpu() for part in z.split(options.batch_size)]
        images = torch.cat(parts)
        spec = DataSpec(shape=images.shape[1:], value_range=(-1.0, 1.0))
        with writing(place.folder):
            file = write_samples(place.partial, images, spec, None, columns)
            place.publish()
    file = place.folder / file.name
    say(json.dumps({"picture": str(file), "n": len(x)}) if options.json else f"images: {file}")


def _trained_on(folder: Path) -> Path | None:
    """The latents that the model of the samples was trained on; None if it was on nothing such."""
    file = folder / FACTS
    if not file.exists():
        return None
    try:
        dataset = json.loads(file.read_text(encoding="utf-8"))["dataset"]
        if dataset is None or dataset["name"] != LATENTS:
            return None
        root = Path(dataset["options"]["root"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: does not say what the model was trained on: name the folder with --latents"
        ) from error
    if not root.exists():
        raise DataError(
            f"{folder}: the model was trained on latents in {root}, which is not there: name the"
            " folder with --latents"
        )
    return root


def _samples(folder: Path) -> "Tensor":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / SAMPLES)["samples"]
    except (OSError, KeyError, SafetensorError) as error:
        raise DataError(f"{folder}: has no samples of latents in {SAMPLES} ({error})") from error


COMMAND = Command(
    name="decode-latents",
    summary="Make images of the samples of a model of latents.",
    options=DecodeLatentsOptions,
    run=run,
    words=("samples",),
    examples=(
        "diffx decode-latents RUN/samples/0000-unipc --vae sd-vae",
        "diffx decode-latents RUN/samples/0000-unipc --latents moved/latents --vae sd-vae",
    ),
)
