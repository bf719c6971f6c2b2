"""The process of straight lines.

    alpha = 1 - t',    sigma = t',    t' = a t / (1 + (a - 1) t),    velocity = (eps - x0) dt'/dt

Both ends are exact: at t = 0 there is no noise, at t = 1 no data. Its SDE is singular at t = 1, for
a = 1 f = -1/(1-t), g^2 = 2t/(1-t); the pair (alpha, sigma) is not, and that is what samplers use.
"""

import math

from attrs import field, frozen
from torch import Tensor

from diffx_core import Scheduler
from diffx_schedulers.checks import RATIO


@frozen(kw_only=True)
class RectifiedFlow(Scheduler):
    """Rectified flow, also known as linear flow matching or the optimal-transport conditional path.

    Args:
        shift: how many times more noise than data there is halfway; sqrt(m / n) for images of m
            pixels makes them as noisy as those of n, and 1 leaves the time alone.

    References:
        Liu et al., Flow Straight and Fast, 2023, arXiv:2209.03003.
        Lipman et al., Flow Matching for Generative Modeling, 2023, arXiv:2210.02747.
        Esser et al., Scaling Rectified Flow Transformers, 2024, arXiv:2403.03206, eq. 23 (shift).
    """

    shift: float = field(default=1.0, validator=RATIO)

    def _norm(self, t: Tensor) -> Tensor:
        """1 + (a - 1) t, as a sum of two positive numbers."""
        return (1 - t) + self.shift * t

    def alpha(self, t: Tensor) -> Tensor:
        """(1 - t) / (1 + (a - 1) t)."""
        return (1 - t) / self._norm(t)

    def sigma(self, t: Tensor) -> Tensor:
        """The shifted time, a t / (1 + (a - 1) t)."""
        return self.shift * t / self._norm(t)

    def alpha_rate(self, t: Tensor) -> Tensor:
        """-a / (1 + (a - 1) t)^2."""
        return -self.sigma_rate(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """The speed of the shifted time, a / (1 + (a - 1) t)^2."""
        return self.shift / self._norm(t) ** 2

    def log_snr(self, t: Tensor) -> Tensor:
        """2 log((1 - t) / (a t))."""
        return 2 * ((-t).log1p() - t.log() - math.log(self.shift))

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """-2 / (t (1 - t)), whatever the shift."""
        return -2 / (t * (1 - t))

    def time_of(self, log_snr: Tensor) -> Tensor:
        """1 / (1 + a exp(log_snr / 2))."""
        return (-log_snr / 2 - math.log(self.shift)).sigmoid()

    def drift(self, t: Tensor) -> Tensor:
        """-a / ((1 + (a - 1) t) (1 - t))."""
        return -self.shift / (self._norm(t) * (1 - t))

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(2 t / (1 - t)) a / (1 + (a - 1) t)."""
        return self.shift / self._norm(t) * (2 * t / (1 - t)).sqrt()

    def noise_label(self, t: Tensor) -> Tensor:
        """1000 sigma: one level has one label under every shift, so that it may change later."""
        return 1000 * self.sigma(t)
