"""`diffx sample [RUN]`: new data from a trained run, with what reproduces them."""

import json
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, le, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Telling
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.errors import ConfigError
from diffx_core.options import DEFAULT_SAMPLER, GuidanceOptions


@frozen(kw_only=True)
class SampleCommandOptions(Telling):
    """What sampling takes besides the sampler.

    Args:
        from_: the sample.json of earlier samples, which are drawn again; flags count more.
        out: folder for the samples; by default the next number under RUN/samples/.
        n: how many samples; if it is ended, the same command goes on.
        steps: steps of the sampler; the same as --sampler.steps.
        nfe: instead of steps, how many times the network is called.
        beside: an image or a folder of images that the samples are told in turn, for a model that
            was trained on pairs.
        trajectory: also write how the samples come out of the noise, and what the model took them
            for on the way: trajectory.gif, and some of its states in trajectory.png.
        every: with --trajectory, how many steps are between two states.
        export: all samples in one file besides: npz has the bytes of images as (N, H, W, C), and
            safetensors the numbers before they were rounded to bytes.
        batch_size: samples that are drawn at once, by one process.
        nproc: processes on this machine that share the batches, one for each accelerator; the
            samples are the same.
    """

    from_: Path | None = field(default=None, metadata={"name": "from"})
    n: int = field(default=64, validator=and_(ge(1), le(1_000_000)))
    steps: int | None = None
    nfe: int | None = field(default=None, validator=optional(ge(1)))
    beside: Path | None = None
    trajectory: bool = False
    every: int | None = field(default=None, validator=optional(ge(1)))
    export: tuple[Literal["npz", "safetensors"], ...] = ()
    batch_size: int = field(default=256, validator=ge(1))
    nproc: int | None = field(default=None, validator=optional(ge(1)))

    def __attrs_post_init__(self) -> None:
        if self.every is not None and not self.trajectory:
            raise ConfigError("--every: is a part of --trajectory, which was not asked for")


def run(request: Request) -> None:
    """Sample, or with ``--dry-run`` show what would be sampled."""
    from diffx_cli.output.kept import has_begun
    from diffx_cli.processes.joining import joined
    from diffx_cli.processes.launching import launch, starts_others
    from diffx_cli.sample.drawn import KEPT
    from diffx_cli.sample.sampling import Sampling

    options: SampleCommandOptions = request.options
    if not has_begun(options.out, KEPT):
        check_free(options.out, overwrite=options.overwrite)
    if options.nproc is not None and not options.dry_run and starts_others():
        launch(options.nproc, options.device)
        return
    with joined(options.device) as ranks:
        sampling = Sampling.prepare(request)
        if options.dry_run:
            say(json.dumps(sampling.facts(), indent=2))
            return
        if not ranks.is_first:
            sampling.help(ranks)
            return
        file = sampling.write(ranks)
    if options.json:
        facts = json.loads((file.parent / "sample.json").read_text(encoding="utf-8"))
        say(json.dumps({"picture": str(file), **facts}))
    else:
        say(f"samples: {file}")


COMMAND = Command(
    name="sample",
    summary="Draw samples from a trained run.",
    options=SampleCommandOptions,
    run=run,
    words=("run",),
    components={"sampler": DEFAULT_SAMPLER, "scheduler": None},
    sections={"guidance": GuidanceOptions},
    aliases={"steps": "sampler.steps"},
    exclusive=(("sampler.steps", "nfe"), ("label", "labels"), ("prompt", "prompts")),
    examples=(
        "diffx sample --sampler pc",
        "diffx sample runs/00000-vpsde-unet-digits --n 100 --label 3 --guidance.scale 2",
        "diffx sample --nfe 20 --seed 1 --trajectory --out pictures",
        "diffx sample --from pictures/sample.json",
        "diffx sample --n 50000 --nproc 2 --export npz",
        "diffx sample --scheduler rectified_flow --sampler heun --nfe 25",
        "diffx sample --label 3 --guidance.scale 4 --guidance.rule projected",
        'diffx sample --prompt "a red square" --guidance.scale 3',
    ),
)
