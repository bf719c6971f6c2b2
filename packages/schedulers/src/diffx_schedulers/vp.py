"""The variance-preserving process.

beta(t) = beta_min + (beta_max - beta_min) t
B(t)    = beta_min t + (beta_max - beta_min) t^2 / 2
alpha   = exp(-B/2),    sigma = sqrt(1 - exp(-B)),    dx = -beta/2 x dt + sqrt(beta) dW
"""

import torch
from attrs import field, frozen
from attrs.validators import gt
from torch import Tensor

from diffx_core import ConfigError, Scheduler


@frozen(kw_only=True)
class VP(Scheduler):
    """Variance-preserving SDE with linear beta, the continuous limit of DDPM.

    Args:
        beta_min: rate of noise at t = 0.
        beta_max: rate of noise at t = 1.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456, eq. 11.
        Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239.
    """

    beta_min: float = field(default=0.1, validator=gt(0))
    beta_max: float = field(default=20.0, validator=gt(0))

    t_min = 1e-5

    def __attrs_post_init__(self) -> None:
        if self.beta_min > self.beta_max:
            raise ConfigError(
                f"beta_min ({self.beta_min:g}) must not exceed beta_max ({self.beta_max:g})"
            )

    def beta(self, t: Tensor) -> Tensor:
        """The rate of noise."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t: Tensor) -> Tensor:
        """B(t), the integral of beta from 0 to t."""
        return t * (self.beta_min + (self.beta_max - self.beta_min) / 2 * t)

    def alpha(self, t: Tensor) -> Tensor:
        """exp(-B/2)."""
        return (-self.integral(t) / 2).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - exp(-B))."""
        return (-(-self.integral(t)).expm1()).sqrt()

    def log_snr(self, t: Tensor) -> Tensor:
        """-log(exp(B) - 1), in the form that does not overflow."""
        integral = self.integral(t)
        return -(integral + (-(-integral).expm1()).log())

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The root of B(t) = log(1 + exp(-log_snr)), in the form that does not cancel."""
        end = (self.beta_min + self.beta_max) / 2
        integral = torch.logaddexp(-log_snr, torch.zeros_like(log_snr)).clamp(max=end)
        root = (self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * integral).sqrt()
        return (2 * integral / (self.beta_min + root)).clamp(self.t_min, self.t_max)

    def drift(self, t: Tensor) -> Tensor:
        """-beta/2."""
        return -self.beta(t) / 2

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(beta)."""
        return self.beta(t).sqrt()
