"""`diffx compare [RUN]`: samplers against network calls, measured on one run."""

import json

from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, le, min_len

from diffx_cli.commands.evaluate import Measuring
from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.request import Request
from diffx_core.errors import ConfigError
from diffx_core.options import GuidanceOptions


@frozen(kw_only=True)
class CompareOptions(Measuring):
    """What is compared, and how.

    Args:
        out: folder for the table and the plot; by default one under RUN/comparisons/ that the same
            command finds again.
        samplers: which; by default ddim and unipc.
        nfe: how many times each of them calls the network.
        n: samples of each repeat.
        repeats: how often that many samples are drawn and measured, for the spread.
    """

    samplers: tuple[str, ...] = ()
    nfe: tuple[int, ...] = field(
        default=(5, 10, 20), validator=and_(min_len(1), deep_iterable(ge(1)))
    )
    n: int = field(default=1000, validator=and_(ge(2), le(1_000_000)))
    repeats: int = field(default=3, validator=and_(ge(1), le(1000)))


def run(request: Request) -> None:
    """Measure every cell that has not been measured yet, then write the table and the plot."""
    from diffx_cli.processes.joining import joined
    from diffx_cli.processes.launching import launch, starts_others

    options: CompareOptions = request.options
    repeated = sorted({str(one) for one in options.nfe if options.nfe.count(one) > 1})
    if repeated:
        raise ConfigError(f"--nfe: {', '.join(repeated)} is there twice")
    if options.nproc is not None and not options.dry_run and starts_others():
        launch(options.nproc, options.device)
        return

    from diffx_cli.evaluate.comparing import Comparison
    from diffx_cli.evaluate.tables import comparison_table

    with joined(options.device) as ranks:
        comparison = Comparison.prepare(request, ranks)
        if options.dry_run:
            say(json.dumps(comparison.facts(), indent=2))
            return
        facts = comparison.measured()
        if not ranks.is_first:
            return
        folder = comparison.write(facts)
    if options.json:
        say(json.dumps({"comparison": str(folder / "comparison.json"), **facts}))
    else:
        say(f"{comparison_table(facts)}\n\nplot: {folder / 'comparison.png'}")


COMMAND = Command(
    name="compare",
    summary="Compare samplers on a run: quality against network calls, as a table and a plot.",
    options=CompareOptions,
    run=run,
    words=("run",),
    components={"metric": "frechet", "scheduler": None},
    lists={"samplers": "sampler"},
    sections={"guidance": GuidanceOptions},
    examples=(
        "diffx compare --samplers ddim,unipc,heun --nfe 5,10,20",
        "diffx compare runs/00000-vpsde-unet-digits --metric kid --n 2000 --repeats 2",
        "diffx compare --samplers dpmpp --sampler.order 2 --nfe 8,16,32 --guidance.scale 2",
    ),
)
