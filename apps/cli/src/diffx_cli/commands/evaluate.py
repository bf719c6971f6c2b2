"""`diffx evaluate [RUN]`: how good the samples of a run are, in numbers with their protocol."""

import json
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import and_, ge, le, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Using
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.options import DEFAULT_SAMPLER, GuidanceOptions


@frozen(kw_only=True)
class Measuring(Using):
    """What every command takes that measures how good samples are.

    Args:
        features: what is measured on; by default those of a classifier that is trained on the real
            data, or of a random network for images without classes.
        fid_weights: the file weights-inception-2015-12-05-6726825d.pth of torch-fidelity, for
            features inception, on which FD is FID.
        dinov2: folder of DINOv2 as transformers saves it, for features dinov2.
        vae: folder of the AutoencoderKL that made the latents of a model of latents, whose images
            are measured then instead of the latents.
        reference: real examples to compare with, at most.
        batch_size: samples that are drawn together.
        nproc: processes on this machine that share the samples, one for each accelerator.
    """

    features: Literal["classifier", "random", "inception", "dinov2", "values"] | None = None
    fid_weights: Path | None = None
    dinov2: Path | None = None
    vae: Path | None = None
    reference: int = field(default=10_000, validator=ge(4))
    batch_size: int = field(default=256, validator=and_(ge(1), le(65_536)))
    nproc: int | None = field(default=None, validator=optional(ge(1)))


@frozen(kw_only=True)
class EvaluateOptions(Measuring):
    """What is evaluated, and how.

    Args:
        out: folder for the figures; by default the next number under RUN/evaluations/.
        metrics: what is measured; by default frechet, kid, prdc and sliced_wasserstein.
        samples: folder of samples, instead of new ones.
        n: samples of each repeat; if it is ended, the same command goes on.
        repeats: how often that many samples are drawn and measured, for the spread.
        steps: steps of the sampler; the same as --sampler.steps.
        nfe: instead of steps, how many times the network is called.
    """

    metrics: tuple[str, ...] = ()
    samples: Path | None = None
    n: int = field(default=1000, validator=and_(ge(2), le(1_000_000)))
    repeats: int = field(default=3, validator=and_(ge(1), le(1000)))
    steps: int | None = None
    nfe: int | None = field(default=None, validator=optional(ge(1)))


def run(request: Request) -> None:
    """Draw samples and measure them, or with ``--dry-run`` show what would be measured."""
    from diffx_cli.evaluate.evaluated import evaluated
    from diffx_cli.evaluate.evaluating import Evaluation, metrics_for
    from diffx_cli.evaluate.findings import FOUND
    from diffx_cli.evaluate.tables import evaluation_table
    from diffx_cli.output.kept import has_begun
    from diffx_cli.processes.joining import joined
    from diffx_cli.processes.launching import launch, starts_others

    options: EvaluateOptions = request.options
    if not has_begun(options.out, FOUND):
        check_free(options.out, overwrite=options.overwrite)
    if options.nproc is not None and not options.dry_run and starts_others():
        launch(options.nproc, options.device)
        return
    metrics = metrics_for(request)
    if options.dry_run:
        say(json.dumps(_dry(request, metrics), indent=2))
        return
    with joined(options.device) as ranks:
        done = evaluated(Evaluation.prepare(request, metrics, ranks, remember=True), request)
    if done is None:
        return
    file, facts = done
    if options.json:
        say(json.dumps({"evaluation": str(file), **facts}))
    else:
        say(f"{evaluation_table(facts)}\n\nevaluation: {file}")


def _dry(request: Request, metrics: tuple[Any, ...]) -> dict[str, Any]:
    """What would be measured of what."""
    from diffx_cli.evaluate.choosing import default_features, kinds_for, require_files
    from diffx_cli.evaluate.evaluating import guidance_of, model_of

    options: EvaluateOptions = request.options
    model = model_of(request)
    kind = options.features or default_features(model.pipeline.spec, options.fid_weights)
    kinds = kinds_for((one.build() for one in metrics), kind)
    require_files(kinds, options.fid_weights, options.dinov2)
    return {
        **model.facts(),
        "samples": None if options.samples is None else str(options.samples),
        "guidance": guidance_of(request),
        "n": options.n,
        "repeats": options.repeats,
        "metrics": [one.registered.qualified for one in metrics],
        "features": kinds,
    }


DRAWN = ("n", "repeats", "nfe", "sampler", "scheduler", "guidance", "batch_size", "nproc")
"""What is said of samples that are drawn, and means nothing of given ones."""
COMMAND = Command(
    name="evaluate",
    summary="Measure how good the samples of a run are, beside real data and noise.",
    options=EvaluateOptions,
    run=run,
    words=("run",),
    components={"sampler": DEFAULT_SAMPLER, "scheduler": None},
    lists={"metrics": "metric"},
    sections={"guidance": GuidanceOptions},
    aliases={"steps": "sampler.steps"},
    exclusive=(
        ("sampler.steps", "nfe"),
        *(("samples", one) for one in DRAWN),
    ),
    examples=(
        "diffx evaluate --n 1000 --nfe 20",
        "diffx evaluate runs/00000-vpsde-unet-digits --metrics frechet,prdc --sampler unipc",
        "diffx evaluate --samples pictures --metrics kid --features random",
        "diffx evaluate --fid-weights weights-inception-2015-12-05-6726825d.pth --n 50000",
    ),
)
