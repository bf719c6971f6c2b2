"""Stochastic Heun: the reverse-time SDE to weak order two.

With h = l' - l > 0, l = log(alpha / sigma), and H = (1 + tau^2) h, the exact solution for an
estimate D that stays the same over a step is

    x~ = alpha' D + sigma' exp(-tau^2 h) e + sigma' sqrt(1 - exp(-2 tau^2 h)) z,

and the method puts it right by the estimate D' behind it, with the same z:

    x' = x~ + alpha' (1 - exp(-H)) / 2 (D' - D).

The weights of D and D' are those of a mean, so no step is too long, and a step may begin where
alpha vanishes. tau = 1 is Anderson's reverse SDE, tau = 0 an ODE.
"""

import math
from typing import NamedTuple

from attrs import field, frozen
from attrs.validators import and_, ge, le
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise


class Row(NamedTuple):
    """The weights of eps and fresh noise in the first guess, and of D' - D."""

    eps: float
    noise: float
    weight: float


@frozen(kw_only=True)
class SDEHeun(Sampler[tuple[Row, ...]]):
    """Stochastic Heun: weak order two, two network calls a step and one in the last.

    Args:
        tau: how much noise is drawn: 1 as the reverse SDE, 0 none.

    References:
        Kloeden & Platen, Numerical Solution of Stochastic Differential Equations, 1992, ch. 14.
        Xue et al., SA-Solver, 2023, arXiv:2309.05019 (tau).
    """

    tau: float = field(default=1.0, validator=and_(ge(0), le(2)))

    @property
    def rate(self) -> int:
        """Two."""
        return 2

    @property
    def stochastic(self) -> bool:
        """Whether noise is drawn."""
        return self.tau > 0

    @property
    def nfe(self) -> int:
        """Two calls for each step, one for the last."""
        return 2 * self.steps - 1

    def start(self, plan: Plan) -> tuple[Row, ...]:
        """The weights of every step."""
        ell, tau2, rows = plan.half_log_snr, self.tau**2, []
        for i in range(plan.steps):
            h, sigma = ell[i + 1] - ell[i], plan.sigma[i + 1]
            spent = tau2 * h if tau2 else 0.0
            noise = sigma * math.sqrt(-math.expm1(-2 * spent))
            weight = plan.alpha[i + 1] * -math.expm1(-(1 + tau2) * h) / 2
            rows.append(Row(sigma * math.exp(-spent), noise, weight))
        return tuple(rows)

    def step(
        self,
        denoise: Denoise,
        x: Tensor,
        i: int,
        plan: Plan,
        state: tuple[Row, ...],
        noise: StepNoise,
    ) -> tuple[Tensor, tuple[Row, ...]]:
        """The step for one estimate, put right by the next."""
        alpha, row = plan.alpha[i + 1], state[i]
        first = denoise(x, plan.times[i])
        moved = first.mix(alpha, row.eps)
        if row.noise:
            moved.add_(noise(), alpha=row.noise)
        if i + 1 == plan.steps:
            return moved, state
        second = denoise(moved, plan.times[i + 1])
        back = second.mix(plan.alpha[i + 1] + row.weight, plan.sigma[i + 1])
        return first.add_to(back, -row.weight, 0.0), state
