"""The hyperbolic process.

alpha = 1 / cosh(a t),    sigma = tanh(a t),    sigma / alpha = sinh(a t)

It preserves variance, alpha^2 + sigma^2 = 1, and its rate of noise is beta = 2 a tanh(a t): noise
sets in gently and then comes at a constant rate.
"""

from attrs import field, frozen
from attrs.validators import and_, ge, le
from torch import Tensor

from diffx_core import Scheduler


@frozen(kw_only=True)
class CoshSDE(Scheduler):
    """Variance-preserving SDE with a hyperbolic signal: alpha = 1 / cosh(rate t).

    Args:
        rate: how fast the data vanish; at t = 1 there is sinh(rate) times more noise than data.
    """

    # Below 3, sampling could not begin with pure noise; above 8, float32 loses the data in it.
    rate: float = field(default=5.5, validator=and_(ge(3.0), le(8.0)))

    t_min = 2e-4

    def alpha(self, t: Tensor) -> Tensor:
        """1 / cosh(rate t)."""
        return (self.rate * t).cosh().reciprocal()

    def sigma(self, t: Tensor) -> Tensor:
        """tanh(rate t)."""
        return (self.rate * t).tanh()

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The one closed form: asinh(sigma / alpha) / rate. All the others are derived."""
        return ((-log_snr / 2).exp().asinh() / self.rate).clamp(self.t_min, self.t_max)
