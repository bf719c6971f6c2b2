"""`diffx import-weights FILE`: a run of a network that was trained elsewhere."""

import json
from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import command, note, say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.options import PredictionName

UNET = "--backbone ddpm_unet"


@frozen(kw_only=True)
class ImportWeightsOptions(Shown):
    """What is imported, and what its file does not say.

    Args:
        file: a file .pt or .safetensors, or a folder of diffusers with config.json.
        out: folder of the run; by default the next number under runs/.
        overwrite: replace what diffx wrote into the folder before.
        layout: whose names the file has; by the names themselves if none, which are the same for
            dit and sit.
        shape: of one example, such as 3,64,64, where the file does not say it.
        num_classes: of the data, to be held against the file.
        prediction: what the network's output means; by default what such networks are trained to
            say.
        dry_run: check that everything fits, and write nothing.
    """

    file: Path
    out: Path | None = None
    overwrite: bool = False
    layout: str | None = None
    shape: tuple[int, ...] | None = None
    num_classes: int | None = field(default=None, validator=optional(ge(1)))
    prediction: PredictionName | None = None
    dry_run: bool = False


def run(request: Request) -> None:
    """Import, and say what became of what."""
    from diffx_cli.import_weights.importing import import_run

    options: ImportWeightsOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    done = import_run(request)
    for line in done.notes:
        note(line)
    if options.json:
        say(json.dumps(done.facts(), indent=2))
    elif done.folder is None:
        say(f"{done.summary()}; nothing was written")
    else:
        say(f"{done.summary()}\nimported: {done.folder}")
        say(f"sample it: {command('sample', done.folder)}")


COMMAND = Command(
    name="import-weights",
    summary="Make a run of a network that was trained elsewhere, to be sampled like any other.",
    options=ImportWeightsOptions,
    run=run,
    words=("file",),
    components={"backbone": "dit", "scheduler": None},
    examples=(
        "diffx import-weights DiT-XL-2-256x256.pt --out runs/dit",
        "diffx import-weights SiT-XL-2-256.pt --layout sit",
        f"diffx import-weights ddpm-cifar10-32 {UNET}",
        f"diffx import-weights lsun.pt {UNET} --backbone.head_width 64 --shape 3,256,256",
    ),
)
