"""`diffx sample [RUN]`: new data from a trained run, with what reproduces them."""

import json
from pathlib import Path

from attrs import field, frozen
from attrs.validators import and_, ge, le, optional

from diffx_cli.command import Command
from diffx_cli.console import say
from diffx_cli.folders import check_free
from diffx_cli.options import Working
from diffx_cli.request import Request
from diffx_core.errors import ConfigError
from diffx_core.options import DEFAULT_SAMPLER, GuidanceOptions


@frozen(kw_only=True)
class SampleCommandOptions(Working):
    """What sampling takes besides the sampler.

    Args:
        run: run folder or checkpoint; by default the newest run under runs/.
        out: folder for the samples; by default the next number under RUN/samples/.
        n: how many samples.
        steps: steps of the sampler; the same as --sampler.steps.
        nfe: instead of steps, how many times the network is called.
        label: the class of every sample.
        labels: the classes of the samples, in turn; by default all classes in turn, or none if
            there is a prompt.
        prompt: the text of every sample, for a model that was trained with texts.
        prompts: file with a text in each line, for the samples in turn.
        text_root: where the files of the text encoder are now, if they have moved.
        beside: an image or a folder of images that the samples are told in turn, for a model that
            was trained on pairs.
        gif: also write progress.gif, which shows how the images come out of the noise.
        nproc: processes on this machine that share the samples, one for each accelerator; they are
            the same.
    """

    run: Path | None = None
    n: int = field(default=64, validator=and_(ge(1), le(1_000_000)))
    steps: int | None = None
    nfe: int | None = field(default=None, validator=optional(ge(1)))
    label: int | None = field(default=None, validator=optional(ge(0)))
    labels: tuple[int, ...] | None = None
    prompt: str | None = None
    prompts: Path | None = None
    text_root: Path | None = None
    beside: Path | None = None
    gif: bool = False
    nproc: int | None = field(default=None, validator=optional(ge(1)))

    def __attrs_post_init__(self) -> None:
        if self.gif and self.nproc is not None:
            raise ConfigError("--gif shows the samples of one process: leave out --nproc")


def run(request: Request) -> None:
    """Sample, or with ``--dry-run`` show what would be sampled."""
    from diffx_cli.joining import joined
    from diffx_cli.launching import launch, starts_others
    from diffx_cli.sampling import Sampling

    options: SampleCommandOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    if options.nproc is not None and not options.dry_run and starts_others():
        launch(options.nproc)
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
        say(json.dumps({"picture": str(file), **sampling.facts()}))
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
        "diffx sample --nfe 20 --seed 1 --gif --out pictures",
        "diffx sample --scheduler rectified_flow --sampler heun --nfe 25",
        "diffx sample --label 3 --guidance.scale 4 --guidance.rule projected",
        'diffx sample --prompt "a red square" --guidance.scale 3',
    ),
)
