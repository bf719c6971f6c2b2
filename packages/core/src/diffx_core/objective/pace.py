"""Densities at the pace of a process: where equal steps are not equal in time.

The time of a process may be anything that grows with the noise. Where it is the noise itself, as
for EDM, hardly any of it belongs to the levels at which images are made. A process says which steps
are equal to it (`Scheduler.spaced`), for samplers as for training: between a thousand such steps,
the share of the process that has passed is a straight line.
"""

import math
from functools import cached_property

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.objective.times import TimeDensity
from diffx_core.scheduler import Scheduler

PIECES = 1024


def between(x: Tensor, index: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """The straight lines through the points (xs, ys), where x is in the gap after `index`."""
    share = (x - xs[index]) / (xs[index + 1] - xs[index])
    return (1 - share) * ys[index] + share * ys[index + 1]  # exact at both ends


def equal_steps(scheduler: Scheduler) -> Tensor | None:
    """The times (PIECES + 1,) of equal steps through a process; None if they are equal in time."""
    times = scheduler.spaced(scheduler.t_min, scheduler.t_max, PIECES + 1)
    even = torch.linspace(scheduler.t_min, scheduler.t_max, PIECES + 1, dtype=torch.float64)
    span = scheduler.t_max - scheduler.t_min
    return None if float((times - even).abs().max()) < 1e-12 * span else times


@frozen(eq=False)
class Paced(TimeDensity):
    """A density of the share of the process that has passed.

    Args:
        density: over [0, 1].
        times: at which the shares 0, 1/n, 2/n .. 1 have passed.
    """

    density: TimeDensity
    times: Tensor

    @cached_property
    def shares(self) -> Tensor:
        """The shares that have passed at the times."""
        return torch.linspace(0, 1, len(self.times), dtype=torch.float64)

    def quantile(self, u: Tensor) -> Tensor:
        """The time at which the quantile of the share has passed."""
        share = self.density.quantile(u)
        return between(share, self._gap(share, self.shares), self.shares, self.times)

    def cdf(self, t: Tensor) -> Tensor:
        """The probability of the share up to the one that has passed."""
        return self.density.cdf(self._share(t))

    def log_prob(self, t: Tensor) -> Tensor:
        """The density of the share, by the length of its step."""
        length = self.times.diff()[self._gap(t, self.times)]
        return self.density.log_prob(self._share(t)) - length.log() - math.log(len(self.times) - 1)

    def _share(self, t: Tensor) -> Tensor:
        return between(t, self._gap(t, self.times), self.times, self.shares)

    def _gap(self, x: Tensor, edges: Tensor) -> Tensor:
        return torch.bucketize(x, edges[1:]).clamp(max=len(edges) - 2)
