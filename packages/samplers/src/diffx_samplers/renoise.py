"""Back to a noisier level, exactly: the forward kernel of the process.

    x^ = (alpha^/alpha) x + sqrt(sigma^2^ - (alpha^/alpha)^2 sigma^2) z

keeps the marginal law whatever x is, so this followed by a step of an ODE method of order p is a
stochastic sampler of order p.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from diffx_core import Plan, Scheduler


class Jump(NamedTuple):
    """The weights of x and of fresh noise."""

    kept: float
    noise: float


def jump(alpha: float, sigma: float, noisier_alpha: float, noisier_sigma: float) -> Jump:
    """The forward kernel from one level to a noisier one."""
    kept = noisier_alpha / alpha
    return Jump(kept, math.sqrt(max(0.0, noisier_sigma**2 - (kept * sigma) ** 2)))


def times_at(plan: Plan, ratios: Sequence[float]) -> Tensor:
    """The times at values of sigma / alpha: none later than the plan's, all known to the process.

    A process in discrete time has no such times: they are the nearest that it knows.
    """
    levels = -2 * torch.tensor(ratios, dtype=torch.float64).log()
    times = plan.scheduler.time_of(levels).clamp(max=plan.times[0])
    known = plan.scheduler.grid()
    if known is None:
        return times
    return known[torch.bucketize(times, (known[1:] + known[:-1]) / 2)]


def levels_at(scheduler: Scheduler, times: Tensor) -> list[tuple[float, float, float]]:
    """(time, alpha, sigma) at each of some times."""
    columns = (times, scheduler.alpha(times), scheduler.sigma(times))
    return list(zip(*(one.tolist() for one in columns), strict=True))
