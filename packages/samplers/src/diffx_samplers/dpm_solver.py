"""DPM-Solver, singlestep: two or three estimates for a step, none of them from earlier steps.

A step of order p leads over p intervals of the grid, and makes its further estimates at the times
between. So each interval takes one network call, and any number of calls is possible; on a grid
uniform in log-SNR it is the method as published. With l = log(alpha / sigma), h = l' - l, r_j =
(l_j - l) / h and E the noise end of the estimates, x' = alpha' D + sigma' e - c (E_j - E), where

    order 2, at l':   c = sigma' (exp(h) - 1) / (2 r_1)                          of E_1
    order 3, at l_2:  c = sigma_2 r_2 / r_1 ((exp(r_2 h) - 1) / (r_2 h) - 1)     of E_1
             at l':   c = sigma' / r_2 ((exp(h) - 1) / h - 1)                    of E_2

For the data end (DPM-Solver++) c is the same with alpha in place of -sigma and -h in place of h.
What is left of the grid after steps of order p is taken first, in steps of lower order; so is a
step from where alpha vanishes, and the last, onto clean data.
"""

import math
from itertools import accumulate
from typing import Literal, NamedTuple, get_args

from attrs import field, frozen
from attrs.validators import and_, ge, in_, le
from torch import Tensor

from diffx_core import Denoise, Estimate, Plan, Sampler, StepNoise

End = Literal["x0", "eps"]

LIMIT = 2.0
"""How far, in terms of data, an estimate may be extrapolated: what only very long steps do."""


class Stage(NamedTuple):
    """The weights of the first estimate's ends and of the end of the newest.

    Args:
        opens: whether a step begins here: the newest estimate is the first.
        x0: of the first estimate's data.
        eps: of its noise.
        newest: of the newest estimate's end that is extrapolated.
    """

    opens: bool
    x0: float
    eps: float
    newest: float = 0.0


class Memory(NamedTuple):
    """The stages, and the first estimate of the step that is being taken."""

    stages: tuple[Stage, ...]
    first: Estimate | None = None


def orders(intervals: int, order: int) -> list[int]:
    """Orders of the steps, which sum to the number of intervals; the lower ones first."""
    left = intervals % order
    if order == 3 and left == 1 and intervals > 1:
        return [2, 2, *[3] * (intervals // 3 - 1)]
    return [left] * (left > 0) + [order] * (intervals // order)


def correction(plan: Plan, first: int, order: int, stage: int, end: End) -> float:
    """The weight -c of E_j - E in the x at times[first + stage], j = stage - 1."""
    ell = plan.half_log_snr[first : first + order + 1]
    h, r = ell[stage] - ell[0], (ell[stage - 1] - ell[0]) / (ell[stage] - ell[0])
    to, at = first + stage, first + stage - 1
    signed = -h if end == "x0" else h
    rise = math.expm1(signed) / (2 * r) if order == 2 else (math.expm1(signed) / signed - 1) / r
    if end == "x0":
        return plan.alpha[to] * max(-LIMIT, min(-rise, LIMIT))
    # E_j - E is -(alpha_j / sigma_j) (D_j - D), in terms of which all is limited.
    most = LIMIT * plan.alpha[to] * plan.sigma[at] / plan.alpha[at]
    return -max(-most, min(plan.sigma[to] * rise, most))


@frozen(kw_only=True)
class DPMSolver(Sampler[Memory]):
    """DPM-Solver (singlestep): order two or three, one network call for each interval of the grid.

    Args:
        order: of the method.
        end: which end of the estimates is extrapolated: x0 is DPM-Solver++, eps DPM-Solver.

    References:
        Lu et al., DPM-Solver, 2022, arXiv:2206.00927, algorithms 1 and 2.
        Lu et al., DPM-Solver++, 2022, arXiv:2211.01095.
    """

    order: int = field(default=2, validator=and_(ge(2), le(3)))
    end: End = field(default="x0", validator=in_(get_args(End)))

    @property
    def rate(self) -> int:
        """The order."""
        return self.order

    def start(self, plan: Plan) -> Memory:
        """The stages of all steps."""
        begin, stop = int(plan.alpha[0] == 0), plan.steps - int(plan.sigma[-1] == 0)
        sizes = [1] * begin + orders(max(0, stop - begin), self.order)
        sizes += [1] * (plan.steps - sum(sizes))
        stages = []
        for first, order in zip(accumulate([0, *sizes]), sizes, strict=False):
            for stage in range(1, order + 1):
                alpha, sigma = plan.alpha[first + stage], plan.sigma[first + stage]
                more = correction(plan, first, order, stage, self.end) if stage > 1 else 0.0
                of_x0, of_eps = (more, 0.0) if self.end == "x0" else (0.0, more)
                stages.append(Stage(stage == 1, alpha - of_x0, sigma - of_eps, more))
        return Memory(tuple(stages))

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Memory, noise: StepNoise
    ) -> tuple[Tensor, Memory]:
        """One interval: the guess at its end, or the end of a whole step."""
        del noise
        stage, newest = state.stages[i], denoise(x, plan.times[i])
        first = newest if stage.opens or state.first is None else state.first
        moved = first.mix(stage.x0, stage.eps)
        if not stage.opens:
            moved.add_(newest.x0 if self.end == "x0" else newest.eps, alpha=stage.newest)
        return moved, Memory(state.stages, first)
