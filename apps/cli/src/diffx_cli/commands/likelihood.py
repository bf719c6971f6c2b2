"""`diffx likelihood [RUN]`: how probable the model finds data, in bits or nats per dimension."""

import json
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, in_, le, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import counted, say
from diffx_cli.line.options import Telling
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.errors import ConfigError


@frozen(kw_only=True)
class LikelihoodOptions(Telling):
    """Of what, and how precisely.

    Args:
        out: folder for the results; by default the next number under RUN/likelihood/.
        images: image files or folders of them, as large and of the same colours as the model's, or
            .safetensors files; by default examples of the data that the run was made with.
        fit: crop, resize and convert images that are not so.
        n: how many examples of its own data, chosen by the seed; by default 128, or all if there
            are fewer.
        split: of its own data, all, or those that were held out from training (held-out); by
            default the latter if there are any.
        own_labels: tell the model the class of each example of its own data.
        label: the class of every example; by default the model is told none.
        labels: the classes of the examples, in turn.
        prompt: the text of every example, for a model that was trained with texts.
        prompts: file with a text in each line, for the examples in turn.
        steps: Runge-Kutta steps, of four network calls each.
        trace: of the divergence: hutchinson estimates it from random signs, exact takes a backward
            pass for each dimension.
        batch_size: examples at once.
    """

    images: tuple[Path, ...] | None = None
    fit: bool = False
    n: int | None = field(default=None, validator=optional(and_(ge(1), le(1_000_000))))
    split: Literal["all", "held-out"] | None = None
    own_labels: bool = False
    steps: int = field(default=50, validator=and_(ge(1), le(10_000)))
    trace: Literal["hutchinson", "exact"] = field(
        default="hutchinson", validator=in_(("hutchinson", "exact"))
    )
    batch_size: int = field(default=64, validator=and_(ge(1), le(65_536)))

    def __attrs_post_init__(self) -> None:
        if self.fit and self.images is None:
            raise ConfigError("--fit: is of --images, and none are given")


def run(request: Request) -> None:
    """Compute it, or with ``--dry-run`` show what would be."""
    from diffx_cli.use.probable import Probability

    options: LikelihoodOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    found = Probability.prepare(request)
    if options.dry_run:
        say(json.dumps(found.facts(), indent=2))
        return
    file, facts = found.write()
    if options.json:
        say(json.dumps({"table": str(file), **facts}))
        return
    error = "" if facts["stderr"] is None else f" +- {facts['stderr']:.4f}"
    say(f"{facts['mean']:.4f}{error} {facts['unit']}, of {counted(facts['n'], 'example')}")
    say(f"each of them: {file}")


COMMAND = Command(
    name="likelihood",
    summary="Compute how probable a trained run finds data, in bits per dimension.",
    options=LikelihoodOptions,
    run=run,
    words=("run",),
    components={"scheduler": None},
    exclusive=(
        ("images", "n"),
        ("images", "split"),
        ("label", "labels", "own_labels"),
        ("images", "own_labels"),
        ("prompt", "prompts"),
    ),
    examples=(
        "diffx likelihood --n 256",
        "diffx likelihood runs/00000-vpsde-unet-digits --split held-out --own-labels",
        "diffx likelihood --images photos --steps 25 --seed 1",
    ),
)
