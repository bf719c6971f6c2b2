"""What of a request to sample does not suit the run: lines that name who and what."""

from pathlib import Path
from typing import Any

import torch

from diffx_cli.line.request import Chosen, Request
from diffx_core.errors import ConfigError
from diffx_core.options import GuidanceOptions
from diffx_core.pipeline import Drawing
from diffx_core.pipeline.loading import read
from diffx_core.sampler import Sampler
from diffx_core.swap import require_swap

ENDS = ("sigma_max", "beta_max")
"""Options of processes that say how much noise there is at the end."""


def refusal(request: Request, source: Path, error: ConfigError) -> list[str]:
    """What to say of a run that cannot be sampled as it was asked.

    Args:
        request: what was asked for.
        source: the run, or one of its checkpoints.
        error: why it cannot be.
    """
    sampler, process = request.components.get("sampler"), request.components.get("scheduler")
    saved = read(source)
    made = saved.run.components["scheduler"]
    if process is not None:
        trained = saved.run.build("scheduler", request.registry)
        try:
            require_swap(trained, process.build(), saved.spec.sigma_data)
        except ConfigError as swap:
            pair = f"{source}, which has scheduler {made.label}, cannot go under {process.label}"
            return [f"{pair}: {one}{_more_noise(process, one)}" for one in swap.problems]
    under = "" if process is None else f" under {process.label}"
    if sampler is None:
        return [f"{source}: {problem}" for problem in error.problems]
    pair = f"{sampler.label} cannot sample {source}, which has scheduler {made.label}{under}"
    return [f"{pair}: {problem}" for problem in error.problems]


def _more_noise(process: Chosen, problem: str) -> str:
    ends = [name for name in ENDS if name in process.options and "as much data" in problem]
    return f"; raise --scheduler.{ends[0]}" if ends else ""


def check_interval(options: GuidanceOptions, drawing: Drawing) -> None:
    """Refuse an interval of guidance in which the model is never asked.

    Raises:
        ConfigError: guidance would change nothing.
    """
    if options.interval is None:
        return
    times = torch.tensor(list(drawing.sampler.asks(drawing.plan)), dtype=torch.float64)
    levels = (-drawing.denoiser.scheduler.log_snr(times) / 2).exp()
    (low, high), least, most = options.interval, float(levels.min()), float(levels.max())
    if high < least or most <= low:
        raise ConfigError(
            f"--guidance.interval: guidance changes nothing from {low:g} to {high:g}: the model is "
            f"asked at a sigma / alpha of {least:.3g} to {most:.3g}"
        )


def with_nfe(chosen: Chosen, nfe: int | None) -> Sampler[Any]:
    """The chosen sampler, with a number of network calls if that is given."""
    sampler: Sampler[Any] = chosen.build()
    if nfe is None:
        return sampler
    try:
        return sampler.with_nfe(nfe)
    except ConfigError as error:
        raise ConfigError(*(f"--nfe: {chosen.label}: {one}" for one in error.problems)) from error


def labels_for(
    label: int | None, labels: tuple[int, ...] | None, n: int, classes: int | None
) -> list[int] | None:
    """The label of each of n samples of a model that knows so many classes.

    Args:
        label: of all samples.
        labels: of the samples, in turn.
        n: how many samples.
        classes: how many the model knows; None if none.

    Raises:
        ConfigError: it knows no such labels.
    """
    wanted = labels if label is None else (label,)
    if wanted is None:
        wanted = tuple(range(classes or 0))
        return [wanted[i % len(wanted)] for i in range(n)] if wanted else None
    if not wanted:
        raise ConfigError("--labels: needs at least one label")
    if classes is None:
        raise ConfigError("--label: the model was trained without labels, it takes none")
    outside = [one for one in wanted if not 0 <= one < classes]
    if outside:
        flag = "--label" if labels is None else "--labels"
        raise ConfigError(f"{flag}: the model knows 0 to {classes - 1}, not {outside[0]}")
    return [wanted[i % len(wanted)] for i in range(n)]
