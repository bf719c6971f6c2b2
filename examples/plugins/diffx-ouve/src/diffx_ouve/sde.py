"""The Ornstein-Uhlenbeck process with exploding variance.

dx = gamma (y - x) dt + g dW,    g = sigma_min r^t sqrt(2 log r),    r = sigma_max / sigma_min

draws each example to a point y of its own, its noisy recording, while noise comes in. In x - y it
is a process like any other, and this is all that diffx needs to know:

alpha   = exp(-gamma t)
sigma^2 = alpha^2 c (exp(2 (gamma + log r) t) - 1),    c = sigma_min^2 log r / (gamma + log r)

At the end much is left of x0 - y: sampling begins at y with noise, not with noise alone.
"""

import math

import torch
from attrs import field, frozen
from attrs.validators import ge, gt
from torch import Tensor

from diffx_core import Condition, ConfigError, Scheduler


@frozen(kw_only=True)
class OUVE(Scheduler):
    """Ornstein-Uhlenbeck variance-exploding SDE, drawn to the image of each example's condition.

    Args:
        gamma: how fast examples are drawn to their image.
        sigma_min: sets the diffusion at t = 0, which is sigma_min sqrt(2 log(sigma_max /
            sigma_min)).
        sigma_max: sets the diffusion at t = 1 in the same way.

    References:
        Richter et al., Speech Enhancement and Dereverberation with Diffusion-based Generative
        Models, 2022, arXiv:2208.05830, eq. 6-12.
    """

    gamma: float = field(default=1.5, validator=ge(0))
    sigma_min: float = field(default=0.05, validator=gt(0))
    sigma_max: float = field(default=0.5, validator=gt(0))

    t_min = 0.03
    """Where the paper stops: less noise than this is not heard."""

    def __attrs_post_init__(self) -> None:
        if not self.sigma_min < self.sigma_max:
            raise ConfigError(
                f"sigma_min ({self.sigma_min:g}) must be below sigma_max ({self.sigma_max:g})"
            )
        if not math.isfinite(self.gamma + self.sigma_max):
            raise ConfigError(
                f"gamma ({self.gamma:g}) and sigma_max ({self.sigma_max:g}) must be finite"
            )

    @property
    def growth(self) -> float:
        """Log r: the growth rate of the diffusion."""
        return math.log(self.sigma_max / self.sigma_min)

    @property
    def rate(self) -> float:
        """Twice gamma + log r: the growth rate of what sigma^2 / alpha^2 tends to."""
        return 2 * (self.gamma + self.growth)

    @property
    def scale(self) -> float:
        """The constant c."""
        return self.sigma_min**2 * 2 * self.growth / self.rate

    def alpha(self, t: Tensor) -> Tensor:
        """exp(-gamma t)."""
        return (-self.gamma * t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """Alpha times sqrt(c (exp(rate t) - 1))."""
        return self.alpha(t) * (self.scale * (self.rate * t).expm1()).sqrt()

    def log_snr(self, t: Tensor) -> Tensor:
        """-log(c (exp(rate t) - 1))."""
        return -math.log(self.scale) - (self.rate * t).expm1().log()

    def time_of(self, log_snr: Tensor) -> Tensor:
        """log(1 + exp(-log_snr) / c) / rate, in the form that does not overflow."""
        ratio = -log_snr - math.log(self.scale)
        t = torch.logaddexp(ratio, torch.zeros_like(ratio)) / self.rate
        return t.clamp(self.t_min, self.t_max)

    def drift(self, t: Tensor) -> Tensor:
        """-gamma, of the distance to the image."""
        return torch.full_like(t, -self.gamma)

    def diffusion(self, t: Tensor) -> Tensor:
        """sigma_min r^t sqrt(2 log r)."""
        return self.sigma_min * (self.growth * t).exp() * math.sqrt(2 * self.growth)

    def anchor(self, cond: Condition) -> Tensor:
        """The image of each example: its noisy recording."""
        if cond.image is None:
            raise ConfigError(
                "ouve draws each example to the image of its condition, and there is none: train "
                "on a dataset of pairs, and sample, with Condition(image=...)"
            )
        return cond.image
