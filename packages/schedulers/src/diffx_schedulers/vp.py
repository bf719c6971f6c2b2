"""Processes whose signal decays at a rate that grows linearly with time.

beta(t) = beta_min + (beta_max - beta_min) t
B(t)    = beta_min t + (beta_max - beta_min) t^2 / 2
alpha   = exp(-B/2),    f = -beta/2

VP and sub-VP differ in their noise: sigma^2 = 1 - exp(-B) for the one, sigma = 1 - exp(-B) for the
other, which is less at all times.
"""

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core import ConfigError, Scheduler
from diffx_schedulers.checks import POSITIVE
from diffx_schedulers.preserving import VariancePreserving

MOST_NOISE = 200.0
"""Twice the largest B(1), whose log-SNR is -100."""


@frozen(kw_only=True)
class LinearBeta(Scheduler):
    """The signal of both processes.

    Args:
        beta_min: rate of noise at t = 0.
        beta_max: rate of noise at t = 1.
    """

    beta_min: float = field(default=0.1, validator=POSITIVE)
    beta_max: float = field(default=20.0, validator=POSITIVE)

    t_min = 1e-5

    def __attrs_post_init__(self) -> None:
        if self.beta_min > self.beta_max:
            raise ConfigError(
                f"beta_min ({self.beta_min:g}) must not exceed beta_max ({self.beta_max:g})"
            )
        if self.beta_min + self.beta_max > MOST_NOISE:
            raise ConfigError(
                f"beta_min ({self.beta_min:g}) and beta_max ({self.beta_max:g}) must not exceed "
                f"{MOST_NOISE:g} together: nothing would be left of the data in any float32"
            )

    def beta(self, t: Tensor) -> Tensor:
        """The rate of noise."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t: Tensor) -> Tensor:
        """B(t), the integral of beta from 0 to t."""
        return t * (self.beta_min + (self.beta_max - self.beta_min) / 2 * t)

    def time_at(self, integral: Tensor) -> Tensor:
        """The root of B(t) = integral within the process, in the form that does not cancel."""
        integral = integral.clamp(max=(self.beta_min + self.beta_max) / 2)
        root = (self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * integral).sqrt()
        return (2 * integral / (self.beta_min + root)).clamp(self.t_min, self.t_max)

    def alpha(self, t: Tensor) -> Tensor:
        """exp(-B/2)."""
        return (-self.integral(t) / 2).exp()

    def drift(self, t: Tensor) -> Tensor:
        """-beta/2."""
        return -self.beta(t) / 2


@frozen(kw_only=True)
class VP(LinearBeta, VariancePreserving):
    """Variance-preserving SDE with linear beta, the continuous limit of DDPM.

    sigma = sqrt(1 - exp(-B)),    dx = -beta/2 x dt + sqrt(beta) dW

    Args:
        beta_min: rate of noise at t = 0.
        beta_max: rate of noise at t = 1.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456, eq. 11.
        Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239.
    """

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - exp(-B))."""
        return (-(-self.integral(t)).expm1()).sqrt()

    def sigma_rate(self, t: Tensor) -> Tensor:
        """Beta alpha^2 / (2 sigma)."""
        return self.beta(t) * (-self.integral(t)).exp() / (2 * self.sigma(t))

    def log_snr(self, t: Tensor) -> Tensor:
        """-log(exp(B) - 1), in the form that does not overflow."""
        integral = self.integral(t)
        return -(integral + (-(-integral).expm1()).log())

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The root of B(t) = log(1 + exp(-log_snr))."""
        return self.time_at(torch.logaddexp(-log_snr, torch.zeros_like(log_snr)))


@frozen(kw_only=True)
class SubVP(LinearBeta):
    """Sub-VP SDE: the signal of VP with less noise, so that likelihoods come out better.

    sigma = 1 - exp(-B),    dx = -beta/2 x dt + sqrt(beta (1 - exp(-2B))) dW

    Here 1 - exp(-B) is the standard deviation, not the variance.

    Args:
        beta_min: rate of noise at t = 0.
        beta_max: rate of noise at t = 1.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456, eq. 12.
    """

    def sigma(self, t: Tensor) -> Tensor:
        """1 - exp(-B)."""
        return -(-self.integral(t)).expm1()

    def sigma_rate(self, t: Tensor) -> Tensor:
        """Beta exp(-B)."""
        return self.beta(t) * (-self.integral(t)).exp()

    def log_snr(self, t: Tensor) -> Tensor:
        """-2 log(2 sinh(B/2)), in the form that does not overflow."""
        return -self.integral(t) - 2 * self.sigma(t).log()

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """-beta coth(B/2)."""
        return -self.beta(t) / (self.integral(t) / 2).tanh()

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The root of 2 sinh(B(t)/2) = exp(-log_snr/2)."""
        return self.time_at(2 * ((-log_snr / 2).exp() / 2).asinh())

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(beta (1 - exp(-2B)))."""
        return (self.beta(t) * -(-2 * self.integral(t)).expm1()).sqrt()
