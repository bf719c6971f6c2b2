"""UniPC: a predictor and a corrector of the data end that share one network call.

The predictor of order p is DPM-Solver++'s (UniP, B2 = exp(h) - 1); the corrector of order p weighs
p + 1 estimates, the one at the new point among them (UniC). The published variant bh2 takes 1/2 for
the one unknown of the predictor of order two and of the corrector of order one, and solves for all
others, which is to integrate the polynomial through the estimates. See `diffx_samplers.exponential`
for how a step costs one linear combination.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_core import Grid, Plan, grid_option
from diffx_samplers.dpmpp import orders, weights
from diffx_samplers.exponential import Weights, known, moments, predict_and_correct, rising
from diffx_samplers.multistep import Multistep, Row, interpolated


def corrector(order: int, size: float, past: Sequence[float]) -> list[float]:
    """Weights of D at the new point, at the step and before.

    Args:
        order: of the corrector.
        size: h.
        past: where earlier estimates are, newest first, relative to h: below zero.
    """
    if order == 1:
        half = -math.expm1(-size) / 2  # at infinity that is `exponential.first_corrector`
        return [half, half]
    where = [1.0, 0.0, *past]
    return interpolated(where, moments(size, len(where)))


@frozen(kw_only=True)
class UniPC(Multistep):
    """UniPC (bh2, data prediction): one network call a step; order + 1 with the corrector.

    Args:
        order: of the predictor; 3 is for many steps.
        corrector: whether steps are corrected once the next estimate is known.
        lower_order_final: whether the order falls to one in the last steps, onto clean data.

    References:
        Zhao et al., UniPC, 2023, arXiv:2302.04867.
    """

    grid: str | Grid = grid_option("flow")
    order: int = field(default=2, validator=and_(ge(1), le(3)))
    corrector: bool = True
    lower_order_final: bool = True

    @property
    def rate(self) -> int:
        """The corrector adds one to the order."""
        return self.order + self.corrector

    def rows(self, plan: Plan) -> tuple[Row, ...]:
        """The weights of every step."""
        steps, ell = [], plan.half_log_snr
        now = orders(plan, self.order, lower_final=self.lower_order_final)
        for i, order in enumerate(now):
            h, levels = ell[i + 1] - ell[i], known(plan, i, order)
            data = weights(h, [(near - far) / h for near, far in pairwise(levels)])
            past = [(level - ell[i]) / h for level in levels[1:]]
            after = corrector(order, h, past) if self.corrector else []
            steps.append(Weights(rising(data, plan, i) if order > 1 else data, after))
        return predict_and_correct(plan, steps)
