"""Where on the way from noise to data a sampler stops: falling times, the last one that of data.

A grid maps (scheduler, steps, latest time) to steps + 1 times, in float64. The last step of a
sampler usually lands on clean data instead of the last time; see `diffx_core.sampler.Plan`.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.scheduler import Scheduler

GridName = Literal["uniform", "quadratic", "logsnr", "karras", "flow"]

FINITE_LOG_SNR = 2 * math.log(1e3)
"""The log-SNR grid keeps to noise ratios from 1/1000 to 1000 where the process has no bounds."""


def uniform(scheduler: Scheduler, steps: int, t_max: float) -> Tensor:
    """Equal steps in time, or in what the process has in its place."""
    return scheduler.spaced(t_max, scheduler.t_min, steps + 1)


def quadratic(scheduler: Scheduler, steps: int, t_max: float) -> Tensor:
    """Equal steps in the square root of time: closer together near the data."""
    u = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    return scheduler.t_min + (t_max - scheduler.t_min) * u**2


def logsnr(scheduler: Scheduler, steps: int, t_max: float) -> Tensor:
    """Equal steps in the logarithm of the signal-to-noise ratio."""
    ends = torch.tensor([t_max, scheduler.t_min], dtype=torch.float64)
    low, high = scheduler.log_snr(ends).clamp(-FINITE_LOG_SNR, FINITE_LOG_SNR).tolist()
    times = scheduler.time_of(torch.linspace(low, high, steps + 1, dtype=torch.float64))
    times[0] = t_max
    return times


def karras(scheduler: Scheduler, steps: int, t_max: float, rho: float = 7.0) -> Tensor:
    """Equal steps in (sigma / alpha)^(1 / rho): most of them at little noise.

    References:
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, eq. 5.
    """
    ends = torch.tensor([t_max, scheduler.t_min], dtype=torch.float64)
    levels = scheduler.log_snr(ends).clamp(-FINITE_LOG_SNR, FINITE_LOG_SNR)
    high, low = (-levels / (2 * rho)).exp().tolist()
    ratio = torch.linspace(high, low, steps + 1, dtype=torch.float64) ** rho
    times = scheduler.time_of(-2 * ratio.log())
    times[0] = t_max
    return times


def flow(scheduler: Scheduler, steps: int, t_max: float) -> Tensor:
    """Equal steps in sigma / (alpha + sigma), the time of rectified flow, for every process."""
    ends = torch.tensor([t_max, scheduler.t_min], dtype=torch.float64)
    high, low = (-scheduler.log_snr(ends) / 2).sigmoid().tolist()
    share = torch.linspace(high, low, steps + 1, dtype=torch.float64)
    times = scheduler.time_of(2 * ((-share).log1p() - share.log()))
    times[0] = t_max
    return times


def legal(scheduler: Scheduler, times: Tensor) -> Tensor:
    """The same falling times, all but the last moved to the nearest that the process knows.

    Raises:
        ConfigError: a process in discrete time has fewer times than there are steps.
    """
    known = scheduler.grid()
    steps = len(times) - 1
    if known is None:
        return times
    if steps > len(known):
        raise ConfigError(f"the process has {len(known)} times: it cannot take {steps} steps")
    middles = (known[1:] + known[:-1]) / 2
    nearest = torch.bucketize(times[:-1], middles)
    down = torch.arange(steps)
    # No time twice: of two that meet, the later step gives way, but leaves room for those after it.
    falling = (nearest + down).cummin(0).values - down
    return torch.cat([known[torch.maximum(falling, down.flip(0))], times[-1:]])


GRIDS: dict[GridName, Callable[[Scheduler, int, float], Tensor]] = {
    "uniform": uniform,
    "quadratic": quadratic,
    "logsnr": logsnr,
    "karras": karras,
    "flow": flow,
}
