"""UniPC: a predictor and a corrector of the data end that share one network call.

The predictor of order p is DPM-Solver++'s (UniP, B2 = exp(h) - 1); the corrector of order p weighs
p + 1 estimates, the one at the new point among them (UniC). The published variant bh2 takes 1/2 for
the one unknown of the predictor of order two and of the corrector of order one, and solves for all
others, which is to integrate the polynomial through the estimates. See `diffx_samplers.exponential`
for how a step costs one linear combination.

As published they are polynomials in log-SNR. In s = sigma / (alpha + sigma) the expected data are
much nearer to one over the long steps of a grid that is uniform in s; there is nothing special
about alpha = 0, where s = 1; and all unknowns are solved for.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import Grid, Plan, grid_option
from diffx_samplers.dpmpp import orders, weights
from diffx_samplers.exponential import (
    Weights,
    finite_levels,
    flow_moments,
    moments,
    predict_and_correct,
    rising,
)
from diffx_samplers.multistep import Multistep, Row, interpolated

Variable = Literal["logsnr", "flow"]

ROUNDING = 1e-6
"""Steps that differ by less are equal."""


def in_logsnr(plan: Plan, i: int, order: int) -> Weights:
    """A step of the published variant."""
    ell = plan.half_log_snr
    h, levels = ell[i + 1] - ell[i], finite_levels(plan, i, order)
    data = weights(h, [(near - far) / h for near, far in pairwise(levels)])
    if order == 1:
        half = data[0] / 2  # at infinity that is `exponential.first_corrector`
        return Weights(data, [half, half])
    where = [1.0, 0.0, *((level - ell[i]) / h for level in levels[1:])]
    return Weights(rising(data, plan, i), interpolated(where, moments(h, len(where))))


def in_flow(plan: Plan, i: int, order: int) -> Weights:
    """A step of polynomials in s."""
    start, end = plan.spans[i]
    integrals = flow_moments(start, end, order + 1)
    past = [(start - plan.spans[i - j][0]) / (start - end) for j in range(1, order)]
    where = [0.0, *past]
    corrector = interpolated([1.0, *where], integrals)
    return Weights(interpolated(where, integrals[:order]), corrector)


def even(plan: Plan) -> Variable:
    """The variable in which the steps of a plan are the more equal; flow if they are so in both.

    The last step onto clean data is as long as can be in either, and so is one from where none are
    left in log-SNR.
    """
    steps = plan.steps - (plan.sigma[-1] == 0)
    flow = [abs(end - start) for start, end in plan.spans[:steps]]
    both = [abs(end - start) for start, end in pairwise(plan.half_log_snr)]
    log_snr = [length for length in both[:steps] if math.isfinite(length)]
    least = unevenness(flow) * (1 - ROUNDING)
    return "logsnr" if unevenness(log_snr) < least else "flow"


def unevenness(lengths: Sequence[float]) -> float:
    """How many times as long as the shortest the longest is."""
    return max(lengths) / min(lengths) if lengths else 1.0


@frozen(kw_only=True)
class UniPC(Multistep):
    """UniPC (bh2, data prediction): one network call a step; order + 1 with the corrector.

    Args:
        order: of the predictor; 3 is for many steps.
        corrector: whether steps are corrected once the next estimate is known.
        lower_order_final: whether the order falls to one in the last steps, onto clean data.
        variable: logsnr is as published; flow has polynomials in sigma / (alpha + sigma); auto is
            the one in which the steps of the grid are the more equal.

    References:
        Zhao et al., UniPC, 2023, arXiv:2302.04867.
    """

    grid: str | Grid = grid_option("flow")
    order: int = field(default=2, validator=and_(ge(1), le(3)))
    corrector: bool = True
    lower_order_final: bool = True
    variable: Literal[Variable, "auto"] = field(
        default="auto", validator=in_(("auto", *get_args(Variable)))
    )

    @property
    def rate(self) -> int:
        """The corrector adds one to the order."""
        return self.order + self.corrector

    def rows(self, plan: Plan) -> tuple[Row, ...]:
        """The weights of every step."""
        variable = even(plan) if self.variable == "auto" else self.variable
        weigh = in_flow if variable == "flow" else in_logsnr
        now = orders(plan, self.order, lower_final=self.lower_order_final)
        steps = [weigh(plan, i, order) for i, order in enumerate(now)]
        if not self.corrector:
            steps = [step._replace(corrector=()) for step in steps]
        return predict_and_correct(plan, steps)
