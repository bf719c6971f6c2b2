"""The exponential Euler step, deterministic or with ancestral noise.

    x' = alpha' x0 + sqrt(sigma'^2 - c^2) eps + c z,    c = eta sigma' sqrt(1 - (alpha sigma' /
    (alpha' sigma))^2)

eta = 0 is DDIM, which is also DPM-Solver-1, Euler in sigma/alpha and, for rectified flow, Euler on
the velocity; eta = 1 is ancestral sampling with the posterior variance.
"""

import math
from itertools import pairwise

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_core import Plan
from diffx_samplers.one_step import OneStep, Table, Transition


@frozen(kw_only=True)
class DDIM(OneStep):
    """DDIM: first order, one network call a step, deterministic for eta = 0.

    Args:
        eta: share of ancestral noise: 0 follows the probability-flow ODE, 1 is DDPM's posterior.

    References:
        Song et al., Denoising Diffusion Implicit Models, 2021, arXiv:2010.02502, eq. 12.
    """

    eta: float = field(default=0.0, validator=and_(ge(0), le(1)))

    @property
    def stochastic(self) -> bool:
        """Whether there is ancestral noise."""
        return self.eta > 0

    def table(self, plan: Plan) -> Table:
        """The transitions."""
        levels = list(zip(plan.alpha, plan.sigma, strict=True))
        rows = []
        for (alpha, sigma), (alpha_s, sigma_s) in pairwise(levels):
            kept = alpha * sigma_s / (alpha_s * sigma)
            noise = self.eta * sigma_s * math.sqrt(max(0.0, 1 - kept**2))
            rows.append(Transition(alpha_s, math.sqrt(sigma_s**2 - noise**2), noise))
        return tuple(rows)
