"""The process whose time is its noise.

alpha = 1,    sigma = t,    dx = sqrt(2 t) dW,    t from sigma_min to sigma_max
"""

import math

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core import ConfigError, Scheduler
from diffx_schedulers.checks import RATIO


@frozen(kw_only=True)
class EDM(Scheduler):
    """EDM: noise is added and nothing else is done, at a time that is its standard deviation.

    The probability-flow ODE has straight tangents, dx/dt = eps. Equal steps in time would waste
    most of them on pure noise, so the uniform grid of samplers has equal steps in log sigma. The
    grid of the paper is karras.

    Args:
        sigma_min: standard deviation of the noise at which the data are reached.
        sigma_max: standard deviation of the noise that sampling starts from.

    References:
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, table 1.
    """

    sigma_min: float = field(default=0.002, validator=RATIO)
    sigma_max: float = field(default=80.0, validator=RATIO)

    def __attrs_post_init__(self) -> None:
        if self.sigma_min >= self.sigma_max:
            raise ConfigError(
                f"sigma_min ({self.sigma_min:g}) must be below sigma_max ({self.sigma_max:g})"
            )

    @property
    def t_min(self) -> float:
        """sigma_min."""
        return self.sigma_min

    @property
    def t_max(self) -> float:
        """sigma_max."""
        return self.sigma_max

    def alpha(self, t: Tensor) -> Tensor:
        """One: the data are not scaled down."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """The time itself."""
        return t.clone()

    def alpha_rate(self, t: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """-2 log t."""
        return -2 * t.log()

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """-2 / t."""
        return -2 / t

    def time_of(self, log_snr: Tensor) -> Tensor:
        """exp(-log_snr / 2)."""
        return (-log_snr / 2).exp().clamp(self.t_min, self.t_max)

    def drift(self, t: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(2 t)."""
        return (2 * t).sqrt()

    def spaced(self, first: float, last: float, count: int) -> Tensor:
        """Times with a constant ratio."""
        share = torch.linspace(0, 1, count, dtype=torch.float64)
        times = first * (last / first) ** share
        times[-1] = last
        return times

    def noise_label(self, t: Tensor) -> Tensor:
        """Linear in log sigma, from 0 at sigma_min to 1000 at sigma_max."""
        return 1000 * (t / self.sigma_min).log() / math.log(self.sigma_max / self.sigma_min)
