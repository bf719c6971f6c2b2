"""SA-Solver: stochastic Adams methods for the family of SDEs that share the marginals.

    b_j = alpha' int_l^l' (1 + tau^2) exp(-(1 + tau^2) (l' - u)) l_j(u) du

weighs the estimates D of the data by the Lagrange basis l_j in l = log(alpha / sigma); a predictor
takes those at hand, a corrector also the one at the new point. tau = 0 follows the
probability-flow ODE, tau = 1 the reverse SDE; it is constant within a step. See
`diffx_samplers.exponential`.
"""

import math

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_core import Plan
from diffx_samplers.exponential import (
    Weights,
    finite_levels,
    first_corrector,
    moments,
    predict_and_correct,
    rising,
)
from diffx_samplers.multistep import Multistep, Row, interpolated


@frozen(kw_only=True)
class SASolver(Multistep):
    """SA-Solver: one network call a step, with as much noise as tau says.

    Args:
        predictor: how many estimates the predictor weighs.
        corrector: how many the corrector weighs, the one at the new point among them; 0 for none.
        tau: how much noise is drawn: 0 none, 1 as the reverse SDE.
        kappa_min: no noise is drawn in steps that begin below this sigma / alpha.
        kappa_max: no noise is drawn in steps that begin above this sigma / alpha.

    References:
        Xue et al., SA-Solver, 2023, arXiv:2309.05019.
    """

    predictor: int = field(default=3, validator=and_(ge(1), le(3)))
    corrector: int = field(default=3, validator=and_(ge(0), le(3)))
    tau: float = field(default=1.0, validator=and_(ge(0), le(2)))
    kappa_min: float = field(default=0.0, validator=ge(0))
    kappa_max: float = field(default=math.inf, validator=ge(0))

    @property
    def rate(self) -> int:
        """Of a corrector, how many estimates it weighs, but one more than the predictor at most.

        With noise it is 2 at most: the order of the law of the result, for Gaussian data.
        """
        order = min(self.corrector, self.predictor + 1) if self.corrector else self.predictor
        return min(2, order) if self.tau else order

    @property
    def stochastic(self) -> bool:
        """Whether noise is drawn."""
        return self.tau > 0

    def rows(self, plan: Plan) -> tuple[Row, ...]:
        """The weights of every step."""
        return predict_and_correct(plan, [self.weights(plan, i) for i in range(plan.steps)])

    def weights(self, plan: Plan, i: int) -> Weights:
        """The weights of one step; of order one where it begins or ends at an infinite l."""
        start, end = plan.half_log_snr[i : i + 2]
        h = end - start
        tau = self.tau if self.kappa_min <= math.exp(-start) <= self.kappa_max else 0.0
        if math.isinf(h):
            return Weights([1.0], first_corrector(tau) if self.corrector > 1 else [], tau)
        levels = finite_levels(plan, i, max(self.predictor, self.corrector - 1))
        where = [(level - start) / h for level in levels]
        predictor, corrector = (
            interpolated(chosen, moments((1 + tau**2) * h, len(chosen)))
            for chosen in (where[: self.predictor], [1.0, *where][: self.corrector])
        )
        if self.predictor > 1:
            predictor = rising(predictor, plan, i, tau)
        return Weights(predictor, corrector, tau)
