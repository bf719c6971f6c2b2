"""DPM-Solver++: exponential integration of the data end, of order one to three.

With h = l' - l > 0, l = log(alpha / sigma), H = (1 + tau^2) h and phi1 = 1 - exp(-H), phi2 = 1 -
phi1 / H, a step is

    x' = (sigma'/sigma) exp(-tau^2 h) x + alpha' [phi1 D + phi2 D1 - 2 (phi2/H - 1/2) D2]
         + sigma' sqrt(1 - exp(-2 tau^2 h)) z

where D is the estimated data and D1, D2 are its first and second divided differences over earlier
steps. The second order replaces phi2 by phi1 / 2. tau = 0 follows the probability-flow ODE, tau = 1
the reverse SDE.

The third order as published lacks the factor 2 of D2 and is of second order; at ten steps it can
be the more accurate of the two all the same.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import Plan
from diffx_samplers.exponential import Weights, finite_levels, predict_and_correct, rising
from diffx_samplers.multistep import Multistep, Row

Variant = Literal["corrected", "published"]


def weights(size: float, r: Sequence[float], *, published: bool = False) -> list[float]:
    """Weights of D, D_-1, D_-2 in the brackets above, as many as there are steps before, and one.

    Args:
        size: H.
        r: the steps before this one, newest first, relative to it.
        published: whether to leave out the factor 2.
    """
    phi1 = -math.expm1(-size)
    if not r:
        return [phi1]
    if len(r) == 1:
        slope = phi1 / (2 * r[0])
        return [phi1 + slope, -slope]
    phi2 = 1 - phi1 / size
    bend = -(1 if published else 2) * (phi2 / size - 0.5)
    # a = (D - D_-1)/r0 and b = (D_-1 - D_-2)/r1 give D1 = a + r0 D2, D2 = (a - b)/(r0 + r1).
    of_a_less_b = (phi2 * r[0] + bend) / (r[0] + r[1])
    newer, older = (phi2 + of_a_less_b) / r[0], -of_a_less_b / r[1]
    return [phi1 + newer, older - newer, -older]


def orders(plan: Plan, most: int, *, lower_final: bool) -> list[int]:
    """The order of every step: how many estimates it uses.

    One where a step begins or ends where alpha or sigma vanishes. If `lower_final`, the order falls
    to the one of a step onto clean data.
    """
    clean = not plan.sigma[-1]
    left = [plan.steps - i if lower_final and clean else most for i in range(plan.steps)]
    found = [min(most, i + 1, left[i]) for i in range(plan.steps)]
    return [*found[:-1], 1] if clean else found


@frozen(kw_only=True)
class DPMPP(Multistep):
    """DPM-Solver++ (multistep): one network call a step, order one to three.

    Args:
        order: of the method; 2 for few steps and guidance, 3 for many.
        tau: how much noise is drawn: 0 none, 1 as the reverse SDE.
        variant: corrected is of third order where order is 3; published is the papers' formula.
        lower_order_final: whether the order falls to one in the last steps, onto clean data.

    References:
        Lu et al., DPM-Solver++, 2022, arXiv:2211.01095.
        Xue et al., SA-Solver, 2023, arXiv:2309.05019 (tau).
    """

    order: int = field(default=2, validator=and_(ge(1), le(3)))
    tau: float = field(default=0.0, validator=and_(ge(0), le(2)))
    variant: Variant = field(default="corrected", validator=in_(get_args(Variant)))
    lower_order_final: bool = True

    @property
    def rate(self) -> int:
        """The order; 2 for the published third one, and at most 2 with noise."""
        return min(2, self.order) if self.tau or self.variant == "published" else self.order

    @property
    def stochastic(self) -> bool:
        """Whether noise is drawn."""
        return self.tau > 0

    def rows(self, plan: Plan) -> tuple[Row, ...]:
        """The weights of every step."""
        steps, published = [], self.variant == "published"
        now = orders(plan, self.order, lower_final=self.lower_order_final)
        for i, order in enumerate(now):
            h = plan.half_log_snr[i + 1] - plan.half_log_snr[i]
            r = [(near - far) / h for near, far in pairwise(finite_levels(plan, i, order))]
            data = weights((1 + self.tau**2) * h, r, published=published)
            data = rising(data, plan, i, self.tau) if order > 1 else data
            steps.append(Weights(data, tau=self.tau))
        return predict_and_correct(plan, steps)
