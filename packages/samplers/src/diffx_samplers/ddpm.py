"""Ancestral sampling: the reverse of the forward kernel, with the estimate in place of the data.

    x' = alpha' x0 + (alpha/alpha') (sigma'^2/sigma) eps + c z

The mean is that of x' given x and x0. Its true variance, if x0 were known, is sigma_ts^2 sigma'^2 /
sigma^2 with sigma_ts^2 = sigma^2 - (alpha/alpha')^2 sigma'^2: too small, as x0 is not known.
sigma_ts^2 itself is too large. Both are right as the steps become small. For a variance-exploding
process the large one is the reverse diffusion of Song et al.

The large variance is limited over steps that more than halve sigma / alpha, where it would be far
more than all the noise of the next level.
"""

import math
from itertools import pairwise
from typing import Literal, get_args

from attrs import field, frozen
from attrs.validators import in_

from diffx_core import Plan
from diffx_samplers.ddim import DDIM
from diffx_samplers.one_step import OneStep, Table, Transition

Variance = Literal["posterior", "large"]

LARGEST = math.sqrt(3)
"""Of the noise of the next level, what the large variance adds to a step that halves the ratio."""


@frozen(kw_only=True)
class DDPM(OneStep):
    """DDPM: exact ancestral sampling, first order, one network call a step.

    Args:
        variance: posterior is the smallest that is possible, large the forward kernel's own.

    References:
        Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, algorithm 2.
    """

    variance: Variance = field(default="posterior", validator=in_(get_args(Variance)))

    @property
    def stochastic(self) -> bool:
        """Always."""
        return True

    def table(self, plan: Plan) -> Table:
        """The transitions: all but the noise are those of DDIM with eta = 1."""
        posterior = DDIM(eta=1.0).table(plan)
        if self.variance == "posterior":
            return posterior
        levels = zip(plan.alpha, plan.sigma, strict=True)
        noises = []
        for (alpha, sigma), (alpha_s, sigma_s) in pairwise(levels):
            step = math.sqrt(max(0.0, sigma**2 - (alpha / alpha_s * sigma_s) ** 2))
            noises.append(min(step, LARGEST * sigma_s))
        rows = zip(posterior, noises, strict=True)
        return tuple(Transition(row.x0, row.eps, noise) for row, noise in rows)
