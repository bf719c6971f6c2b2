"""`diffx decode-latents`: samples of a model of latents as images."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_cli.evaluate.trained_on import TrainedOn, trained_on
from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.errors import DataError, DiffxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from diffx_datasets.latent_moments import Standard

SAMPLES = "samples.safetensors"


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
    from diffx_cli.processes.devices import device_named
    from diffx_datasets.autoencoder import Autoencoder

    options: DecodeLatentsOptions = request.options
    out = options.out or options.samples / "decoded"
    check_free(out, overwrite=None)
    device = device_named(options.device)
    x = _samples(options.samples)
    shape = tuple(x.shape[1:])
    standard = _standard(options, shape)
    autoencoder = Autoencoder.load(options.vae, device)
    channels = int(autoencoder.model.config.latent_channels)
    if x.ndim != 4 or x.shape[1] != channels:
        raise DataError(
            f"{options.samples}: has samples {shape}, not {channels} channels of latents"
        )
    z = autoencoder.unscaled(x) if standard is None else standard.undone(x)
    parts = z.split(options.batch_size)
    file = _write(out, lambda: [autoencoder.decode(one.to(device)).cpu() for one in parts])
    say(json.dumps({"picture": str(file), "n": len(x)}) if options.json else f"images: {file}")


def _write(out: Path, decode: "Callable[[], list[Tensor]]") -> Path:
    """Images in a folder that is claimed before they are decoded; returns the picture of all."""
    import torch

    from diffx_cli.output.place import claimed
    from diffx_cli.output.writing import writing
    from diffx_cli.picture.pictures import write_samples
    from diffx_core.dataset import DataSpec

    with claimed(out, out, "", (), overwrite=None) as place:
        images = torch.cat(decode())
        spec = DataSpec(shape=images.shape[1:], value_range=(-1.0, 1.0))
        columns = max(1, round(math.sqrt(len(images))))
        with writing(place.folder):
            file = write_samples(place.partial, images, spec, None, columns)
            place.publish()
    return place.folder / file.name


def _standard(options: DecodeLatentsOptions, shape: tuple[int, ...]) -> "Standard | None":
    """The scale of the latents that the model was trained on; None if it was on nothing such.

    Args:
        options: name the samples, and perhaps the latents.
        shape: of a sample.

    Raises:
        DataError: the latents are not there, are not those any more, or have another shape.
    """
    from diffx_datasets.latents import Latents

    trained = _trained_on(options)
    root = options.latents or (None if trained is None else trained.root)
    if root is None:
        return None
    data = Latents(root=root)
    if shape != data.spec.shape:
        raise DataError(f"{options.samples}: has samples {shape}, not {data.spec.shape}")
    if trained is not None and not trained.are_in(root):
        raise DataError(
            f"{options.samples}: the model was trained on other latents than are in {root} now,"
            " whose scale may be another: name the folder that has them with --latents"
        )
    return data.standard


def _trained_on(options: DecodeLatentsOptions) -> TrainedOn | None:
    """What the samples say of the latents, which they have to if nobody else does."""
    if options.latents is not None:
        with suppress(DiffxError):  # then nobody can compare them, and they were named
            return trained_on(options.samples)
        return None
    found = trained_on(options.samples)
    if found is not None and not found.are_there:
        raise DataError(
            f"{options.samples}: the model was trained on latents in {found.root}, which are not"
            " there: name the folder with --latents"
        )
    return found


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
