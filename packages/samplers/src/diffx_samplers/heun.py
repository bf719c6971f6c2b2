"""Heun's method on the probability-flow ODE: a step of Euler, put right by the estimate at its end.

    x~ = alpha' D + sigma' e,    x' = x~ + w alpha' (D' - D)

where D' is the estimated data behind x~, and w depends on the coordinate in which the trapezoidal
rule is applied, with k = sigma / alpha:

    w = (k/k' - 1) / 2                           in k, for x / alpha (EDM)
    w = (k/k' - 1) / 2 (1 + k') / (1 + k)        in k / (1 + k), for x / (alpha + sigma)

The second stays finite where alpha vanishes, and is the more accurate at few steps, because a step
from very noisy data is not taken for a long one. A long step can still have a w that extrapolates D
far beyond D': w is limited there, which short steps never meet.

Churn goes back to a noisier level before each step, k^ = (1 + gamma) k, by the exact forward
kernel.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

from attrs import field, frozen
from attrs.validators import and_, ge, gt, in_, le, optional
from torch import Tensor

from diffx_core import ConfigError, Denoise, Plan, Sampler, StepNoise
from diffx_samplers.renoise import jump, levels_at, times_at

Coordinates = Literal["flow", "edm"]

LIMITS: dict[Coordinates, float] = {"flow": 1.0, "edm": 4.0}
"""The largest w: D' at most in place of D; for EDM, steps may lower sigma / alpha to a ninth."""


class Correction(NamedTuple):
    """What one step needs to know.

    Args:
        t: where the step begins, after churn.
        kept: of x, by churn.
        noise: that churn adds.
        weight: w alpha'.
    """

    t: float
    kept: float
    noise: float
    weight: float


def trapezoid(coords: Coordinates, ratio: float, next_ratio: float) -> float:
    """The weight w for a step between two values of sigma / alpha, the first maybe infinite."""
    if coords == "edm":
        weight = (ratio / next_ratio - 1) / 2
    else:  # divided by k, which may be infinite
        weight = (1 / next_ratio - 1 / ratio) / 2 * (1 + next_ratio) / (1 + 1 / ratio)
    return min(weight, LIMITS[coords])


@frozen(kw_only=True)
class Heun(Sampler[tuple[Correction, ...]]):
    """Heun: second order, two network calls a step and one in the last; with churn stochastic.

    With coords edm and churn it is the stochastic sampler of EDM, for every process.

    Args:
        coords: where the rule is trapezoidal: flow in sigma / (alpha + sigma), edm in
            sigma / alpha.
        s_churn: how much noise is added in all steps together; 0 for none.
        s_tmin: least sigma / alpha at which noise is added.
        s_tmax: largest sigma / alpha at which noise is added; no bound if None.
        s_noise: factor of the added noise; more than 1 makes up for what networks take too much.

    References:
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, algorithms 1 and 2.
    """

    coords: Coordinates = field(default="flow", validator=in_(get_args(Coordinates)))
    s_churn: float = field(default=0.0, validator=ge(0))
    s_tmin: float = field(default=0.0, validator=ge(0))
    s_tmax: float | None = field(default=None, validator=optional(gt(0)))
    s_noise: float = field(default=1.0, validator=and_(gt(0), le(10)))

    def __attrs_post_init__(self) -> None:
        if self.s_tmax is not None and not self.s_tmin < self.s_tmax:
            raise ConfigError(f"s_tmin must be below s_tmax, got {self.s_tmin} and {self.s_tmax}")

    @property
    def rate(self) -> int:
        """Two."""
        return 2

    @property
    def stochastic(self) -> bool:
        """Whether there is churn."""
        return self.s_churn > 0

    @property
    def converges(self) -> bool:
        """Not to the law of the data with more noise than the forward kernel has."""
        return not self.stochastic or self.s_noise == 1

    @property
    def nfe(self) -> int:
        """Two calls for each step, one for the last."""
        return 2 * self.steps - 1

    def asks(self, plan: Plan) -> Iterable[float]:
        """Where the steps begin after churn, and the plan's own times, where they end."""
        return sorted({*plan.times[:-1], *(one.t for one in self.start(plan))}, reverse=True)

    def start(self, plan: Plan) -> tuple[Correction, ...]:
        """The level that each step begins at, and its weights."""
        ratios = [math.exp(-ell) for ell in plan.half_log_snr[:-1]]
        gamma = min(self.s_churn / plan.steps, math.sqrt(2) - 1)
        high = math.inf if self.s_tmax is None else self.s_tmax
        churned = [k * (1 + gamma * (self.s_tmin <= k <= high)) for k in ratios]
        noisier = levels_at(plan.scheduler, times_at(plan, churned))
        filled = []
        for i in range(plan.steps):
            t, alpha, sigma, noise, kept = plan.times[i], plan.alpha[i], plan.sigma[i], 0.0, 1.0
            if noisier[i][0] > t and churned[i] > ratios[i]:
                t, *level = noisier[i]
                kept, noise = jump(alpha, sigma, *level)
                alpha, sigma = level
            weight = 0.0
            if i + 1 < plan.steps:
                ratio = sigma / alpha if alpha else math.inf
                weight = plan.alpha[i + 1] * trapezoid(self.coords, ratio, ratios[i + 1])
            filled.append(Correction(t, kept, self.s_noise * noise, weight))
        return tuple(filled)

    def step(
        self,
        denoise: Denoise,
        x: Tensor,
        i: int,
        plan: Plan,
        state: tuple[Correction, ...],
        noise: StepNoise,
    ) -> tuple[Tensor, tuple[Correction, ...]]:
        """Churn, a step of Euler, and the correction."""
        t, kept, fresh, weight = state[i]
        if fresh:
            share = plan.spans[i][0]  # noise at one level, which is no part of the path of a step
            x = (x * kept).add_(noise(span=(share, share)), alpha=fresh)
        first = denoise(x, t)
        moved = first.mix(plan.alpha[i + 1], plan.sigma[i + 1])
        if i + 1 == plan.steps:
            return moved, state
        second = denoise(moved, plan.times[i + 1])
        back = second.mix(plan.alpha[i + 1] + weight, plan.sigma[i + 1])
        return first.add_to(back, -weight, 0.0), state
