"""`diffx inpaint [RUN]`: parts of images made anew, and the rest kept exactly."""

import json
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import gt, in_

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Giving
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.errors import ConfigError
from diffx_core.options import GuidanceOptions

By = Literal["replacement", "dps", "pigdm"]


@frozen(kw_only=True)
class InpaintOptions(Giving):
    """What is made anew, and how.

    Args:
        out: folder for the results; by default the next number under RUN/inpaint/.
        mask: an image of the same size, white where the images are made anew and black where they
            are kept, or a folder with one for each of them; for a model of anything but images, a
            .safetensors file with 1 and 0.
        by: how the rest is made to agree with what is kept: replacement puts that into every state,
            which goes with the sampler repaint; dps and pigdm follow the slope of the misfit.
        pull: of dps, how hard it follows.
    """

    mask: Path
    by: By = field(default="replacement", validator=in_(("replacement", "dps", "pigdm")))
    pull: float = field(default=1.0, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        if self.pull != 1 and self.by != "dps":
            raise ConfigError(f"--pull: is of --by dps, and {self.by} has none")


def run(request: Request) -> None:
    """Inpaint, or with ``--dry-run`` show what would be inpainted."""
    from diffx_cli.use.inpainting import Inpainting

    options: InpaintOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    inpainting = Inpainting.prepare(request)
    if options.dry_run:
        say(json.dumps(inpainting.facts(), indent=2))
        return
    file, facts = inpainting.write()
    say(json.dumps({"picture": str(file), **facts}) if options.json else f"inpainted: {file}")


COMMAND = Command(
    name="inpaint",
    summary="Make parts of images anew by a trained run, and keep the rest.",
    options=InpaintOptions,
    run=run,
    words=("run",),
    components={"sampler": "repaint", "scheduler": None},
    sections={"guidance": GuidanceOptions},
    aliases={"steps": "sampler.steps"},
    exclusive=(("sampler.steps", "nfe"), ("label", "labels"), ("prompt", "prompts")),
    examples=(
        "diffx inpaint --images photo.png --mask mask.png",
        "diffx inpaint --images digits --mask half.png --label 3 --sampler.resamples 5 --steps 30",
        "diffx inpaint --images photo.png --mask mask.png --by pigdm --sampler unipc --nfe 50",
    ),
)
