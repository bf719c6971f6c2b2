"""Poisson flow in D extra dimensions: the path of EDM, with noise of another law.

alpha = 1,    sigma = t,    eps = z / sqrt(|w|^2 / D),    z ~ N(0, I_N), w ~ N(0, I_D)

so eps follows the multivariate Student t distribution with D degrees of freedom. In the words of
the paper: x - x0 = R u with a uniform direction u, the density of R at r = sigma sqrt(D) being

p(R) = R^(N-1) / (R^2 + r^2)^((N+D)/2)  up to a constant.

Heavy tails, small D, forgive errors of the network; D to infinity is EDM. The ODE is that of EDM
too, with the expected data under this law. There is no reverse-time SDE with Gaussian noise.
"""

from collections.abc import Sequence

import torch
from attrs import field, frozen
from attrs.validators import ge, gt
from torch import Tensor

from diffx_core import Capability, ConfigError, Noise, Scheduler


@frozen(kw_only=True)
class PFGMPP(Scheduler):
    """PFGM++: data carried through D extra dimensions; the noise has heavy tails.

    Args:
        D: the number of extra dimensions; the paper's best are 128 and 2048.
        sigma_min: the least noise.
        sigma_max: the most noise.

    References:
        Xu et al., PFGM++: Unlocking the Potential of Physics-Inspired Generative Models, 2023,
        arXiv:2302.04265.
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364 (the path).
    """

    D: int = field(default=2048, validator=ge(1))
    sigma_min: float = field(default=0.002, validator=gt(0))
    sigma_max: float = field(default=80.0, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        if not self.sigma_min < self.sigma_max < float("inf"):
            raise ConfigError(
                f"sigma_max ({self.sigma_max:g}) must be finite and above sigma_min "
                f"({self.sigma_min:g})"
            )

    @property
    def t_min(self) -> float:
        """The least noise."""
        return self.sigma_min

    @property
    def t_max(self) -> float:
        """The most noise."""
        return self.sigma_max

    def alpha(self, t: Tensor) -> Tensor:
        """One: the data are not scaled down."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """The time itself: the scale of the noise, which is its deviation as D grows."""
        return t.clone()

    def time_of(self, log_snr: Tensor) -> Tensor:
        """exp(-log_snr / 2)."""
        return (-log_snr / 2).exp().clamp(self.t_min, self.t_max)

    def spaced(self, first: float, last: float, count: int) -> Tensor:
        """Times with a constant ratio: the time is the noise itself."""
        share = torch.linspace(0, 1, count, dtype=torch.float64)
        times: Tensor = first * (last / first) ** share
        times[-1] = last
        return times

    def noise_label(self, t: Tensor) -> Tensor:
        """Linear in log sigma, from 0 to 1000."""
        passed, whole = (t / self.t_min).log(), torch.as_tensor(self.t_max / self.t_min).log()
        return 1000 * passed / whole

    def noise(self, source: Noise, shape: Sequence[int], step: int) -> Tensor:
        """Student's t with D degrees of freedom, in all directions alike."""
        z = source.normal(shape, step)
        extra = source.normal((self.D,), step, substep=1)
        scale = extra.square().mean(1).sqrt()
        return z / scale.reshape(-1, *[1] * len(shape))

    def offers(self) -> frozenset[Capability]:
        """Not a reverse-time SDE: its noise would have to be Gaussian."""
        return frozenset()
