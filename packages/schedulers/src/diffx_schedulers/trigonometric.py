"""Processes on a quarter of a circle: signal and noise are cosine and sine of an angle.

phi(t) = pi/2 (t + s)/(1 + s),    alpha = cos phi(t) / cos phi(0),    sigma = sqrt(1 - alpha^2)

With a = pi / (2 (1 + s)) both are products of sines, so that nothing cancels and both ends are
exact: no noise at t = 0, no data at t = 1.

    alpha = sin(a (1 - t)) / sin(a),    sigma^2 = sin(a t) sin(a (t + 2s)) / sin(a)^2

The SDE is singular at t = 1; the pair (alpha, sigma) is not, and that is what samplers use.
"""

import math

import torch
from attrs import field, frozen
from attrs.validators import and_, gt, le
from torch import Tensor

from diffx_schedulers.preserving import VariancePreserving

QUARTER = math.pi / 2


@frozen(kw_only=True)
class Cosine(VariancePreserving):
    """Cosine schedule in continuous time, without the cap that a table of betas needs.

    Args:
        s: offset that adds noise early; small next to 1. The process gvp is the limit 0.

    References:
        Nichol & Dhariwal, Improved DDPM, 2021, arXiv:2102.09672, eq. 17.
    """

    s: float = field(default=0.008, validator=and_(gt(0), le(1)))

    @property
    def rate(self) -> float:
        """The speed of the angle, pi / (2 (1 + s)); also the angle that is left at t = 0."""
        return QUARTER / (1 + self.s)

    def alpha(self, t: Tensor) -> Tensor:
        """sin(a (1 - t)) / sin(a)."""
        return (self.rate * (1 - t)).sin() / math.sin(self.rate)

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(sin(a t) sin(a (t + 2s))) / sin(a)."""
        first, second = (self.rate * t).sin(), (self.rate * (t + 2 * self.s)).sin()
        return (first * second).sqrt() / math.sin(self.rate)

    def alpha_rate(self, t: Tensor) -> Tensor:
        """-a cos(a (1 - t)) / sin(a)."""
        return -self.rate * (self.rate * (1 - t)).cos() / math.sin(self.rate)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """-alpha alpha' / sigma; infinite at t = 0, where the variance grows from nothing."""
        return -self.alpha(t) * self.alpha_rate(t) / self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """2 log sin(a (1 - t)) - log sin(a t) - log sin(a (t + 2s))."""
        first, second = (self.rate * t).sin(), (self.rate * (t + 2 * self.s)).sin()
        return 2 * (self.rate * (1 - t)).sin().log() - first.log() - second.log()

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The angle with tan(phi)^2 = (kappa^2 + sin(a s)^2) / cos(a s)^2, less the angle at 0.

        With r^2 = kappa^2 + sin(a s)^2, the tangent of the difference of the two angles is
        cos(a s) kappa^2/r^2 over (1 + sin(a s)/r) (cos(a s)^2/r + sin(a s)).
        """
        sine, cosine = math.sin(self.rate * self.s), math.cos(self.rate * self.s)
        radius = torch.hypot((-log_snr / 2).exp(), torch.full_like(log_snr, sine))
        share = (-log_snr - 2 * math.log(sine)).sigmoid()
        across = (1 + sine / radius) * (cosine**2 / radius + sine)
        return (torch.atan2(cosine * share, across) / self.rate).clamp(self.t_min, self.t_max)

    def drift(self, t: Tensor) -> Tensor:
        """-a cot(a (1 - t))."""
        return -self.rate / (self.rate * (1 - t)).tan()


@frozen(kw_only=True)
class GVP(VariancePreserving):
    """Generalised variance-preserving path, also known as the trigonometric flow.

    alpha = cos(pi t / 2),    sigma = sin(pi t / 2)

    References:
        Albergo et al., Stochastic Interpolants, 2023, arXiv:2303.08797.
        Ma et al., SiT, 2024, arXiv:2401.08740, table 1.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """cos(pi t / 2)."""
        return (QUARTER * (1 - t)).sin()

    def sigma(self, t: Tensor) -> Tensor:
        """sin(pi t / 2)."""
        return (QUARTER * t).sin()

    def alpha_rate(self, t: Tensor) -> Tensor:
        """-pi/2 sigma."""
        return -QUARTER * self.sigma(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """pi/2 alpha."""
        return QUARTER * self.alpha(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """-2 log tan(pi t / 2)."""
        return 2 * (self.alpha(t).log() - self.sigma(t).log())

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """-2 pi / sin(pi t)."""
        return -math.pi / (self.alpha(t) * self.sigma(t))

    def time_of(self, log_snr: Tensor) -> Tensor:
        """2/pi atan(exp(-log_snr / 2))."""
        return ((-log_snr / 2).exp().atan() / QUARTER).clamp(self.t_min, self.t_max)

    def drift(self, t: Tensor) -> Tensor:
        """-pi/2 tan(pi t / 2)."""
        return -QUARTER * self.sigma(t) / self.alpha(t)
