"""A noise level as the weights of errors need to know it: neither end of the path vanishes.

A process may have no noise left at t_min and no data at t_max. Weights are products of factors that
vanish and factors that diverge there, so the smaller of alpha and sigma is kept above 1e-15 of the
larger. Products come out right, and finite; everything else reads the level itself.
"""

from functools import cached_property

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.prediction import Level, Target

LEAST = 1e-15
"""The smallest ratio of alpha and sigma."""


@frozen(eq=False)
class Ends:
    """A level whose alpha and sigma are both above zero.

    Args:
        level: the level, which may be at an end of the process.
    """

    level: Level

    @cached_property
    def alpha(self) -> Tensor:
        """How much of the data is left."""
        return torch.maximum(self.level.alpha, LEAST * self.level.sigma)

    @cached_property
    def sigma(self) -> Tensor:
        """The standard deviation of the noise."""
        return torch.maximum(self.level.sigma, LEAST * self.level.alpha)

    @cached_property
    def log_snr(self) -> Tensor:
        """log(alpha^2 / sigma^2), finite."""
        return 2 * (self.alpha.log() - self.sigma.log())

    @cached_property
    def fall(self) -> Tensor:
        """How fast the log-SNR falls: -dlambda/dt = 2 (sigma' / sigma - alpha' / alpha)."""
        return 2 * (self.level.sigma_rate / self.sigma - self.level.alpha_rate / self.alpha)

    def gain(self, target: Target) -> Tensor:
        """What the errors of both ends grow to, when the network's output is off by 1.

        For F = p x0 + q eps at a given x, |dx0|^2 + |deps|^2 is (alpha^2 + sigma^2) / (alpha q -
        sigma p)^2 times |dF|^2.
        """
        p, q = target
        return (torch.hypot(self.alpha, self.sigma) / (self.alpha * q - self.sigma * p)).square()
