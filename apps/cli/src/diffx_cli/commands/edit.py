"""`diffx edit [RUN]`: noise is added to images, and the model removes it in its own way."""

import json

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Giving
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.options import DEFAULT_SAMPLER, GuidanceOptions


@frozen(kw_only=True)
class EditOptions(Giving):
    """What is edited, and how much.

    Args:
        out: folder for the results; by default the next number under RUN/edit/.
        strength: how much noise, as sigma / (alpha + sigma), which means the same for every
            process: 0 gives the images back, 1 forgets them.
    """

    strength: float = field(default=0.5, validator=and_(ge(0), le(1)))


def run(request: Request) -> None:
    """Edit, or with ``--dry-run`` show what would be edited."""
    from diffx_cli.use.editing import Editing

    options: EditOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    editing = Editing.prepare(request)
    if options.dry_run:
        say(json.dumps(editing.facts(), indent=2))
        return
    file, facts = editing.write()
    say(json.dumps({"picture": str(file), **facts}) if options.json else f"edited: {file}")


COMMAND = Command(
    name="edit",
    summary="Change images by a trained run: noise them, and remove the noise (SDEdit).",
    options=EditOptions,
    run=run,
    words=("run",),
    components={"sampler": DEFAULT_SAMPLER, "scheduler": None},
    sections={"guidance": GuidanceOptions},
    aliases={"steps": "sampler.steps"},
    exclusive=(("sampler.steps", "nfe"), ("label", "labels"), ("prompt", "prompts")),
    examples=(
        "diffx edit --images photo.png --strength 0.4",
        "diffx edit runs/00000-vpsde-unet-digits --images digits --label 3 --guidance.scale 3",
        "diffx edit --images photo.jpg --fit --strength 0.6 --sampler heun --nfe 39 --seed 1",
    ),
)
