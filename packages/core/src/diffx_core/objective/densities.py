"""From names and options to densities of times and their histograms, for one process."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.objective.grid import OnGrid
from diffx_core.objective.histogram import Adaptive, Histogram, Importance
from diffx_core.objective.pace import Paced, equal_steps
from diffx_core.objective.times import LogitNormal, LogNormalSigma, Mode, TimeDensity, Uniform
from diffx_core.options import ObjectiveOptions, TimesName
from diffx_core.scheduler import Scheduler

BINS = 100
"""Bins of a histogram."""
LEAST_WIDTH = 1 / (10 * BINS)
"""The smallest share of all draws that a bin stands for; smaller ones join their neighbours."""
RANGE = 2 * math.log(1e3)
"""Log-SNRs beyond which the first and the last bin reach to the ends of the process."""
USUAL_SIGMA_DATA = 0.5
"""The data for which the mean of log_normal_sigma is stated."""

Build = Callable[[float, float, ObjectiveOptions], TimeDensity]


def _uniform(low: float, high: float, options: ObjectiveOptions) -> TimeDensity:
    del options
    return Uniform(low, high)


def _logit_normal(low: float, high: float, options: ObjectiveOptions) -> TimeDensity:
    assert options.times_mean is not None
    assert options.times_std is not None
    return LogitNormal(low, high, options.times_mean, options.times_std)


def _mode(low: float, high: float, options: ObjectiveOptions) -> TimeDensity:
    assert options.times_scale is not None
    return Mode(low, high, options.times_scale)


OVER_TIME: dict[str, Build] = {
    "uniform": _uniform,
    "logit_normal": _logit_normal,
    "mode": _mode,
    "discrete": _uniform,
}
HISTOGRAMS: dict[TimesName, type[Adaptive | Importance]] = {
    "adaptive": Adaptive,
    "importance": Importance,
}


def base_density(scheduler: Scheduler, options: ObjectiveOptions, sigma_data: float) -> TimeDensity:
    """The density that the expected loss is about.

    Args:
        scheduler: the process.
        options: resolved.
        sigma_data: root mean square of the data.
    """
    name = options.times_base or options.times
    if name == "log_normal_sigma":
        density = _log_normal_sigma(scheduler, options, sigma_data)
    else:
        density = _over_time(scheduler, OVER_TIME[name], options)
    grid, low, high = scheduler.grid(), scheduler.t_min, scheduler.t_max
    if grid is None and name == "discrete":
        assert options.times_levels is not None
        grid = scheduler.spaced(low, high, options.times_levels + 1)[1:]
    return density if grid is None else OnGrid(density, grid, low, high)


def _log_normal_sigma(
    scheduler: Scheduler, options: ObjectiveOptions, sigma_data: float
) -> TimeDensity:
    assert options.times_mean is not None
    assert options.times_std is not None
    mean = options.times_mean + math.log(sigma_data / USUAL_SIGMA_DATA)
    return LogNormalSigma(scheduler, mean, options.times_std)


def _over_time(scheduler: Scheduler, build: Build, options: ObjectiveOptions) -> TimeDensity:
    steps = equal_steps(scheduler)
    if steps is None:
        return build(scheduler.t_min, scheduler.t_max, options)
    return Paced(build(0.0, 1.0, options), steps)


def check_levels(scheduler: Scheduler, options: ObjectiveOptions) -> None:
    """Refuse a number of levels for a process that has its own.

    Args:
        scheduler: the process.
        options: as they were given.
    """
    grid = scheduler.grid()
    if grid is not None and options.times_levels is not None:
        raise ConfigError(
            f"times_levels is {options.times_levels}, but {type(scheduler).__name__} has "
            f"{len(grid)} levels of its own"
        )


def histogram_over(name: TimesName, scheduler: Scheduler, base: TimeDensity) -> Histogram | None:
    """The histogram of losses over the quantiles of a density, if the times have one."""
    if name not in HISTOGRAMS:
        return None
    edges = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)
    if name == "adaptive":
        edges = base.cdf(scheduler.time_of(log_snr_edges(scheduler)))
    if isinstance(base, OnGrid):  # a bin holds whole cells, so that each time has one density
        known = base.cumulative
        edges = known[torch.bucketize(edges, (known[1:] + known[:-1]) / 2)]
    return HISTOGRAMS[name](wide_enough(edges))


def log_snr_edges(scheduler: Scheduler) -> Tensor:
    """Equal steps of the log-SNR over the process, falling."""
    ends = torch.tensor([scheduler.t_min, scheduler.t_max], dtype=torch.float64)
    high, low = scheduler.log_snr(ends).clamp(-RANGE, RANGE).tolist()
    return torch.linspace(high, low, BINS + 1, dtype=torch.float64)


def wide_enough(edges: Tensor) -> Tensor:
    """The same edges from 0 to 1, less those that would bound too narrow a bin."""
    kept = [0.0]
    for edge in edges.tolist():
        if kept[-1] + LEAST_WIDTH <= edge <= 1 - LEAST_WIDTH:
            kept.append(edge)
    return torch.tensor([*kept, 1.0], dtype=torch.float64)
