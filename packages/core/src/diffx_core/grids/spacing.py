"""Grids that a formula gives: equal steps in some function of the noise level, or of time.

A grid maps (scheduler, steps, latest time) to steps + 1 falling times, in float64.
"""

import math

import torch
from torch import Tensor

from diffx_core.scheduler import Scheduler

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
    return time_shift(scheduler, steps, t_max, shift=1.0)


def time_shift(scheduler: Scheduler, steps: int, t_max: float, shift: float = 3.0) -> Tensor:
    """Equal steps in u, where sigma / (alpha + sigma) = shift u / (1 + (shift - 1) u).

    So sigma / alpha is `shift` times that of equal steps in the time of rectified flow: more steps
    at much noise, which large images need. For m times as many pixels the shift is sqrt(m).

    References:
        Esser et al., Scaling Rectified Flow Transformers, 2024, arXiv:2403.03206, section 5.3.2.
    """
    ends = torch.tensor([t_max, scheduler.t_min], dtype=torch.float64)
    level = -scheduler.log_snr(ends) / 2 - math.log(shift)  # log(sigma / alpha), not yet shifted
    high, low = level.sigmoid().tolist()
    u = torch.linspace(high, low, steps + 1, dtype=torch.float64)
    times = scheduler.time_of(2 * ((-u).log1p() - u.log() - math.log(shift)))
    times[0] = t_max
    return times
