"""The variance-exploding process.

    alpha = 1,    sigma = sigma_min (sigma_max / sigma_min)^t,    dx = sigma sqrt(2 log(sigma_max /
    sigma_min)) dW

The process starts at sigma_min, not at zero: noise below it is not modelled.
"""

import math

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core import ConfigError, Scheduler
from diffx_schedulers.checks import RATIO


@frozen(kw_only=True)
class VE(Scheduler):
    """Variance-exploding SDE with geometrically growing noise.

    Args:
        sigma_min: standard deviation of the noise at t = 0.
        sigma_max: standard deviation of the noise at t = 1; about the largest distance between two
            examples.

    References:
        Song & Ermon, Improved Techniques for Score-Based Models, 2020, arXiv:2006.09011.
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456, eq. 9.
    """

    sigma_min: float = field(default=0.01, validator=RATIO)
    sigma_max: float = field(default=50.0, validator=RATIO)

    def __attrs_post_init__(self) -> None:
        if self.sigma_min >= self.sigma_max:
            raise ConfigError(
                f"sigma_min ({self.sigma_min:g}) must be below sigma_max ({self.sigma_max:g})"
            )

    @property
    def rate(self) -> float:
        """log(sigma_max / sigma_min): the constant growth rate of log sigma."""
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Tensor) -> Tensor:
        """One: the data are not scaled down."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """sigma_min (sigma_max / sigma_min)^t."""
        return self.sigma_min * (self.rate * t).exp()

    def alpha_rate(self, t: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """Sigma, times the growth rate of its logarithm."""
        return self.rate * self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """-2 log sigma, a straight line."""
        return -2 * (math.log(self.sigma_min) + self.rate * t)

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """The slope of the straight line."""
        return torch.full_like(t, -2 * self.rate)

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The straight line, inverted."""
        t = -(log_snr / 2 + math.log(self.sigma_min)) / self.rate
        return t.clamp(self.t_min, self.t_max)

    def drift(self, t: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        """Sigma sqrt(2 rate)."""
        return self.sigma(t) * math.sqrt(2 * self.rate)
