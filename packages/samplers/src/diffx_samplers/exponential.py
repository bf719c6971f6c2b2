"""What the exponential integrators of the data end share.

With l = log(alpha / sigma), h = l' - l and H = (1 + tau^2) h the exact solution of a step is

    x' = (sigma'/sigma) exp(-tau^2 h) x + alpha' int_0^1 H exp(-(1 - u) H) D(u) du
         + sigma' sqrt(1 - exp(-2 tau^2 h)) z,    u = (l(s) - l) / h,

and a method says how the integral is weighed from estimates D of the data: from those at u = 0 and
before by a predictor, with the one at u = 1 by a corrector. The estimate at the predicted point
serves the corrector of this step and the predictor of the next, and both begin at the same x, so

    corrected = predicted + sum_j (corrector_j - predictor_j) D_j

and predictor and corrector together are one linear multistep method, which costs one combination.

Where no data are left, at l = -inf, D is linear in alpha / sigma = exp(l), which is there to first
order and, with a trace of data, still nearly so. So a step from there takes D as constant, its
corrector as linear in exp(l), and the next step adds what that line rises by; no later step knows
of the estimate at l = -inf.

References:
    Zhao et al., UniPC, 2023, arXiv:2302.04867.
    Xue et al., SA-Solver, 2023, arXiv:2309.05019.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import leggauss

from diffx_core import Plan
from diffx_samplers.multistep import Row, history

SMALL = 0.5
"""Below this the recursion of the moments loses digits, if it runs forward."""
EXTRA = 12
"""How many moments more are enough to begin with where it runs backward."""
LONG = math.log(4) + 1e-9
"""The longest step that follows the line in exp(l): that of three steps equal in s."""
SHORT = 0.2
"""The same for steps over so large a part of s, for which the rule is exact to rounding."""


class Weights(NamedTuple):
    """What a method makes of one step.

    Args:
        predictor: of D at the step and before, newest first.
        corrector: of D at the end of the step, at the step and before; none if empty.
        tau: how much noise is drawn.
    """

    predictor: Sequence[float]
    corrector: Sequence[float] = ()
    tau: float = 0.0


def moments(size: float, count: int) -> list[float]:
    """The integrals of H exp(-(1 - u) H) u^k over [0, 1], for k from 0: M_k = 1 - k M_{k-1} / H."""
    if size >= SMALL:
        found = [-math.expm1(-size)]
        for k in range(1, count):
            found.append(1 - k / size * found[-1])
        return found[:count]
    # Backward, where what is wrong with the last one shrinks by H / k each time.
    value, found = size / (count + EXTRA + 1), []
    for k in range(count + EXTRA, 0, -1):
        value = size / k * (1 - value)
        found.append(value)
    return found[: EXTRA - 1 : -1]


@cache
def rule() -> list[tuple[float, float]]:
    """Gauss's, on [0, 1]: points and weights."""
    return [((x + 1) / 2, w / 2) for x, w in np.transpose(leggauss(7)).tolist()]


def flow_moments(start: float, end: float, count: int) -> list[float]:
    """The same of u = (start - s) / (start - end), for a step from one s to another.

    With s = sigma / (alpha + sigma) and p = (start - end) / start they are

        p (1 - p) / (1 - end) int_0^1 u^k / (1 - p u)^2 du.
    """
    if end == 0:
        return [1.0] * count
    part = (start - end) / start
    scale = part * (1 - part) / (1 - end)
    if abs(part) < SHORT:
        values = [scale * weight / (1 - part * u) ** 2 for u, weight in rule()]
        return [
            math.fsum(value * u**k for value, (u, _) in zip(values, rule(), strict=True))
            for k in range(count)
        ]
    # The integral of u^k / (1 - p u) comes along.
    once, found = -math.log1p(-part) / part, [1 / (1 - part)]
    for k in range(1, count):
        found.append((found[-1] - once) / part)
        once = (once - 1 / k) / part
    return [scale * one for one in found]


def finite_levels(plan: Plan, i: int, most: int) -> list[float]:
    """Where in l up to `most` estimates stand, that of step i first; none that is infinite."""
    return [level for level in history(plan.half_log_snr, i, most) if math.isfinite(level)]


def first_corrector(tau: float) -> list[float]:
    """The weights of D at the new point and at l = -inf, between which it is linear in exp(l)."""
    new = (1 + tau**2) / (2 + tau**2)
    return [new, 1 - new]


def rising(data: Sequence[float], plan: Plan, i: int, tau: float = 0.0) -> list[float]:
    """The weights of a predictor of order two or more, where it is to follow the line in exp(l).

    That is in the step after one from l = -inf, if it is not a long one, and up to where there is
    as much data as noise: further on there is no such line, and mistakes would grow along it.

    Args:
        data: the weights that take D as constant there.
        plan: of the run.
        i: the step.
        tau: how much noise is drawn.
    """
    if i != 1 or not math.isinf(plan.half_log_snr[0]):
        return list(data)
    _, start, end, *_ = plan.half_log_snr
    if end - start > LONG:
        return list(data)
    top, rate = min(max(start, 0.0), end), 1 + tau**2
    up, beyond = top - start, -math.expm1(-rate * (end - top))
    before = rate * (math.exp(up) - math.exp(-rate * up)) / (rate + 1) + math.expm1(-rate * up)
    rise = (1 - beyond) * before + beyond * math.expm1(up)
    return [data[0] + rise, -rise]


def predict_and_correct(plan: Plan, steps: Sequence[Weights]) -> tuple[Row, ...]:
    """The rows of a method that is given by its weights in every step."""
    ell, rows = plan.half_log_snr, []
    correction: list[float] = []
    for i, (predictor, corrector, tau) in enumerate(steps):
        alpha, sigma = plan.alpha[i + 1], plan.sigma[i + 1]
        of_x, noise = sigma / plan.sigma[i], 0.0
        if tau:
            h = ell[i + 1] - ell[i]
            of_x *= math.exp(-(tau**2) * h)
            noise = sigma * math.sqrt(-math.expm1(-2 * tau**2 * h))
        data = [alpha * one for one in predictor]
        if correction and of_x:
            scale = of_x * plan.alpha[i]
            data = _sum(data, [scale * one for one in correction])
        rows.append(Row(of_x * plan.alpha[i] + data[0], of_x * plan.sigma[i], data[1:], noise))
        correction = []
        if corrector:
            correction = _sum(corrector, [0.0, *(-one for one in predictor)])
    return tuple(rows)


def _sum(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [a + b for a, b in zip_longest(first, second, fillvalue=0.0)]
