"""How often each time is seen: probability densities over the times of a process.

A density maps quantiles to times, so that quantiles spread evenly over a batch give times spread
over the process: `quantile` and `cdf` are inverse to each other, and `log_prob` is the logarithm of
the derivative of `cdf`. Everything is float64 on the CPU, elementwise.
"""

import math
from abc import ABC, abstractmethod
from functools import cached_property

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.objective.ends import LEAST, Ends
from diffx_core.prediction import Level
from diffx_core.scheduler import BISECTIONS, Scheduler

LEAST_SHARE = 1e-3
"""The share of a distribution over noise levels that a process has to reach."""


def normal_cdf(z: Tensor) -> Tensor:
    """The standard normal distribution function."""
    share: Tensor = torch.special.ndtr(z)
    return share


def normal_quantile(u: Tensor) -> Tensor:
    """The inverse of the standard normal distribution function."""
    z: Tensor = torch.special.ndtri(u)
    return z


def normal_log_prob(z: Tensor, std: float) -> Tensor:
    """The logarithm of a normal density at z standard deviations from its mean."""
    return -z.square() / 2 - math.log(std * math.sqrt(2 * math.pi))


class TimeDensity(ABC):
    """A probability density over the times of a process."""

    @abstractmethod
    def quantile(self, u: Tensor) -> Tensor:
        """The time below which there is a share u in [0, 1] of all draws."""

    @abstractmethod
    def cdf(self, t: Tensor) -> Tensor:
        """The share of all draws up to t."""

    @abstractmethod
    def log_prob(self, t: Tensor) -> Tensor:
        """The logarithm of the density at t."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Independent times (n,)."""
        return self.quantile(torch.rand(n, dtype=torch.float64, generator=generator))


@frozen
class Uniform(TimeDensity):
    """All times alike.

    Args:
        low: the first time.
        high: the last time.
    """

    low: float
    high: float

    def quantile(self, u: Tensor) -> Tensor:
        """The straight line."""
        return self.low + (self.high - self.low) * u

    def cdf(self, t: Tensor) -> Tensor:
        """The straight line."""
        return ((t - self.low) / (self.high - self.low)).clamp(0, 1)

    def log_prob(self, t: Tensor) -> Tensor:
        """Constant."""
        return torch.full_like(t, -math.log(self.high - self.low))


@frozen
class LogitNormal(TimeDensity):
    """Logit of the time, as a share of the process, ~ N(mean, std^2): most of it in the middle.

    Args:
        low: the first time.
        high: the last time.
        mean: of the logit.
        std: of the logit.

    References:
        Esser et al., Scaling Rectified Flow Transformers, 2024, arXiv:2403.03206, eq. 19.
    """

    low: float
    high: float
    mean: float = 0.0
    std: float = 1.0

    def quantile(self, u: Tensor) -> Tensor:
        """Sigmoid of the normal quantile."""
        share = (self.mean + self.std * normal_quantile(u)).sigmoid()
        return self.low + (self.high - self.low) * share

    def cdf(self, t: Tensor) -> Tensor:
        """The normal distribution function of the logit."""
        return normal_cdf((self._share(t).logit() - self.mean) / self.std)

    def log_prob(self, t: Tensor) -> Tensor:
        """The normal density of the logit, times its slope 1 / (f (1 - f))."""
        share = self._share(t).clamp(LEAST, 1 - LEAST)
        slope = -share.log() - (-share).log1p() - math.log(self.high - self.low)
        return normal_log_prob((share.logit() - self.mean) / self.std, self.std) + slope

    def _share(self, t: Tensor) -> Tensor:
        return ((t - self.low) / (self.high - self.low)).clamp(0, 1)


@frozen
class LogNormalSigma(TimeDensity):
    """log(sigma / alpha) ~ N(mean, std^2), cut off where the process ends.

    Args:
        scheduler: the process.
        mean: of log(sigma / alpha).
        std: of log(sigma / alpha).

    References:
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, table 1.
    """

    scheduler: Scheduler
    mean: float = -1.2
    std: float = 1.2

    def __attrs_post_init__(self) -> None:
        low, high = self.reach
        if not high - low >= LEAST_SHARE:
            raise ConfigError(
                f"times log_normal_sigma with mean {self.mean:g} and std {self.std:g} has a share "
                f"of {high - low:.1g} within the noise levels of {type(self.scheduler).__name__}: "
                "move times_mean, or choose other times"
            )

    @cached_property
    def reach(self) -> tuple[float, float]:
        """The shares of the untruncated distribution at which the process begins and ends."""
        ends = torch.tensor([self.scheduler.t_min, self.scheduler.t_max], dtype=torch.float64)
        low, high = normal_cdf(self._z(self.scheduler.log_snr(ends))).tolist()
        return low, high

    def quantile(self, u: Tensor) -> Tensor:
        """The time at which the process has the normal quantile of its noise level."""
        low, high = self.reach
        z = normal_quantile(low + (high - low) * u)
        return self.scheduler.time_of(-2 * (self.mean + self.std * z))

    def cdf(self, t: Tensor) -> Tensor:
        """The normal distribution function of the noise level."""
        low, high = self.reach
        return (normal_cdf(self._z(self.scheduler.log_snr(t))) - low) / (high - low)

    def log_prob(self, t: Tensor) -> Tensor:
        """The normal density of the noise level, times -lambda' / 2."""
        low, high = self.reach
        ends = Ends(Level(self.scheduler, t, 1.0))
        density = normal_log_prob(self._z(ends.log_snr), self.std) - math.log(high - low)
        return density + (ends.fall / 2).log()

    def _z(self, log_snr: Tensor) -> Tensor:
        return (-log_snr / 2 - self.mean) / self.std


@frozen
class Mode(TimeDensity):
    """Most of it in the middle, but no time neglected: t = u - scale (sin^2(pi u / 2) - u).

    Args:
        low: the first time.
        high: the last time.
        scale: from -1 (the ends alone) to 2 / (pi - 2) (the middle); 0 is uniform.

    References:
        Esser et al., Scaling Rectified Flow Transformers, 2024, arXiv:2403.03206, eq. 20.
    """

    low: float
    high: float
    scale: float = 1.29

    def quantile(self, u: Tensor) -> Tensor:
        """The definition."""
        bent = u - self.scale * ((math.pi / 2 * u).sin().square() - u)
        return self.low + (self.high - self.low) * bent

    def cdf(self, t: Tensor) -> Tensor:
        """The definition inverted, by halving."""
        low, high = torch.zeros_like(t), torch.ones_like(t)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self.quantile(middle) < t
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def log_prob(self, t: Tensor) -> Tensor:
        """Minus the logarithm of the slope of the definition."""
        slope = 1 + self.scale - self.scale * math.pi / 2 * (math.pi * self.cdf(t)).sin()
        return -slope.log() - math.log(self.high - self.low)
