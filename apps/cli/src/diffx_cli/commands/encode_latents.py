"""`diffx encode-latents`: a dataset of images as the latents of an autoencoder."""

import json
from pathlib import Path

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free


@frozen(kw_only=True)
class EncodeLatentsOptions(Shown):
    """What is encoded by what, and where to.

    Args:
        vae: folder of an AutoencoderKL as diffusers saves it.
        out: folder for the latents; it has to be empty.
        mirrored: also write the latents of the mirrored images, so that training can flip them.
        batch_size: images that are encoded together.
        device: auto, cpu, cuda, cuda:1, mps.
    """

    vae: Path
    out: Path
    mirrored: bool = False
    batch_size: int = field(default=32, validator=and_(ge(1), le(65_536)))
    device: str = "auto"


def run(request: Request) -> None:
    """Encode every image of the dataset, without augmentation."""
    from diffx_cli.line.advance import Advance
    from diffx_cli.output.place import claimed
    from diffx_cli.output.writing import writing
    from diffx_cli.processes.devices import device_named
    from diffx_datasets.autoencoder import Autoencoder
    from diffx_datasets.encoding import encode, require

    options: EncodeLatentsOptions = request.options
    check_free(options.out, overwrite=None)
    device = device_named(options.device)
    dataset = request.components["dataset"].build()
    autoencoder = Autoencoder.load(options.vae, device)
    require(dataset, autoencoder)
    where = options.out, options.out, "", ()
    several = len(dataset) > options.batch_size
    advance = Advance(len(dataset), 0, several, title="encode", unit="image")
    with (
        claimed(*where, overwrite=None) as place,
        writing(place.folder),
        advance.shown(),
    ):
        done = encode(
            dataset,
            autoencoder,
            place.partial,
            device=device,
            mirrored=options.mirrored,
            batch_size=options.batch_size,
            told=advance.reached,
        )
        place.publish()
    folder = place.folder
    if options.json:
        say(json.dumps({"latents": str(folder), **done._asdict()}))
    else:
        texts = " --dataset.captions true --text bytes" if dataset.spec.captions else ""
        hint = f"diffx train --dataset latents --dataset.root {folder}{texts}"
        say(f"latents: {folder}\ntrain: {hint}")


COMMAND = Command(
    name="encode-latents",
    summary="Encode a dataset of images by an autoencoder, to train on the latents.",
    options=EncodeLatentsOptions,
    run=run,
    components={"dataset": "image_folder"},
    examples=(
        "diffx encode-latents --dataset.root photos --dataset.size 256 --vae sd-vae --out latents",
        "diffx train --dataset latents --dataset.root latents --backbone dit",
    ),
)
