"""`diffx interpolate [RUN]`: a way from one image to another, through the noises behind them."""

import json
from pathlib import Path

from attrs import field, frozen
from attrs.validators import and_, ge, le, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Using
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.errors import ConfigError


@frozen(kw_only=True)
class InterpolateOptions(Using):
    """Where the way leads, and how.

    Args:
        out: folder for the results; by default the next number under RUN/interpolate/.
        n: how many images, both ends among them.
        images: the two image files at the ends, or a folder with two, as large and of the same
            colours as the model's; for a model of anything else, a .safetensors file.
        fit: crop, resize and convert images that are not so.
        seeds: instead, two seeds, the first samples of which are at the ends.
        seed: instead, a seed, the first two samples of which are at the ends.
        steps: steps of the sampler; the same as --sampler.steps.
        nfe: instead of steps, how many times the network is called on each way.
        label: the class of all; by default the model is told none.
        prompt: the text of all, for a model that was trained with texts.
    """

    n: int = field(default=9, validator=and_(ge(2), le(1000)))
    images: tuple[Path, ...] | None = None
    fit: bool = False
    seeds: tuple[int, int] | None = None
    steps: int | None = None
    nfe: int | None = field(default=None, validator=optional(ge(1)))
    label: int | None = field(default=None, validator=optional(ge(0)))
    prompt: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.fit and self.images is None:
            raise ConfigError("--fit: is of --images, and none are given")


def run(request: Request) -> None:
    """Interpolate, or with ``--dry-run`` show what would be."""
    from diffx_cli.use.interpolating import Interpolating

    options: InterpolateOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    way = Interpolating.prepare(request)
    if options.dry_run:
        say(json.dumps(way.facts(), indent=2))
        return
    file, facts = way.write()
    say(json.dumps({"picture": str(file), **facts}) if options.json else f"way: {file}")


COMMAND = Command(
    name="interpolate",
    summary="Go from one image to another, through the noises behind them.",
    options=InterpolateOptions,
    run=run,
    words=("run",),
    components={"sampler": "rk45", "scheduler": None},
    aliases={"steps": "sampler.steps"},
    exclusive=(("sampler.steps", "nfe"), ("images", "seed", "seeds")),
    examples=(
        "diffx interpolate --seeds 3,7 --n 12",
        "diffx interpolate runs/00000-vpsde-unet-digits --images a.png,b.png",
        "diffx interpolate --images a.png,b.png --label 3 --sampler heun --nfe 59",
    ),
)
