"""What all processes share that keep the variance of data of unit variance.

alpha^2 + sigma^2 = 1 leaves one function to choose, and gives

f = alpha'/alpha,    g^2 = -2 f,    d(log-SNR)/dt = 2 f / sigma^2
"""

from abc import abstractmethod

from torch import Tensor

from diffx_core import Scheduler


class VariancePreserving(Scheduler):
    """A process with alpha^2 + sigma^2 = 1."""

    @abstractmethod
    def drift(self, t: Tensor) -> Tensor:
        """The rate alpha' / alpha, from which the others follow."""

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(-2 f)."""
        return (-2 * self.drift(t)).sqrt()

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """2 f / sigma^2."""
        return 2 * self.drift(t) / self.sigma(t) ** 2
