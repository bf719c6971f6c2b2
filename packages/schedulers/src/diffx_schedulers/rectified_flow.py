"""The process of straight lines.

    alpha = 1 - t,    sigma = t,    velocity = eps - x0

Both ends are exact: at t = 0 there is no noise, at t = 1 no data. Its SDE, f = -1/(1-t), g^2 =
2t/(1-t), is singular at t = 1; the pair (alpha, sigma) is not, and that is what samplers use.
"""

from attrs import frozen
from torch import Tensor

from diffx_core import Scheduler


@frozen(kw_only=True)
class RectifiedFlow(Scheduler):
    """Rectified flow, also known as linear flow matching or the optimal-transport conditional path.

    References:
        Liu et al., Flow Straight and Fast, 2023, arXiv:2209.03003.
        Lipman et al., Flow Matching for Generative Modeling, 2023, arXiv:2210.02747.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """1 - t."""
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        """The time itself."""
        return t.clone()

    def log_snr(self, t: Tensor) -> Tensor:
        """2 log((1 - t) / t)."""
        return 2 * ((-t).log1p() - t.log())

    def time_of(self, log_snr: Tensor) -> Tensor:
        """1 / (1 + exp(log_snr / 2))."""
        return (-log_snr / 2).sigmoid()

    def drift(self, t: Tensor) -> Tensor:
        """-1 / (1 - t)."""
        return -1 / (1 - t)

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(2 t / (1 - t))."""
        return (2 * t / (1 - t)).sqrt()
