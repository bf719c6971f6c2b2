"""Restart: back to a noisier level and down again, several times, in the middle of an ODE method.

When sigma / alpha has fallen to `low`, the exact forward kernel takes x to `high`, and the ODE
method back to where it was. The fresh noise contracts the error of everything before; what the
repeats cost is few steps at little noise.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

import torch
from attrs import field, frozen
from attrs.validators import and_, ge, gt, le
from torch import Tensor

from diffx_core import ConfigError, Denoise, Plan, Sampler, StepNoise, one_of
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun
from diffx_samplers.renoise import Jump, jump, times_at

Inner = Literal["heun", "ddim"]
INNER: dict[Inner, type[Sampler[Any]]] = {"heun": Heun, "ddim": DDIM}

RHO = 7.0
"""Of the steps of a repeat, which are uniform in (sigma / alpha)^(1 / rho)."""


class State(NamedTuple):
    """What the inner method knows of the way, where on it the restarts are, and what they need."""

    inner: Any
    after: int
    jump: Jump
    again: Plan


@frozen(kw_only=True)
class Restart(Sampler[State]):
    """Restart: an ODE method with repeated jumps back; stochastic, of the order of the method.

    Args:
        inner: the ODE method.
        low: sigma / alpha at which it jumps back, at the first step that reaches it.
        high: sigma / alpha that it jumps back to.
        repeats: how many times.
        share: steps of one repeat, as a share of all steps; at least one.

    References:
        Xu et al., Restart Sampling, 2023, arXiv:2306.14878.
    """

    inner: Inner = field(default="heun", validator=one_of(get_args(Inner)))
    low: float = field(default=0.06, validator=gt(0))
    high: float = field(default=0.3, validator=gt(0))
    repeats: int = field(default=2, validator=and_(ge(0), le(1000)))
    share: float = field(default=0.2, validator=and_(gt(0), le(1)))

    def __attrs_post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"low must be below high, got {self.low} and {self.high}")

    @property
    def rate(self) -> int:
        """The order of the inner method."""
        return INNER[self.inner]().rate

    @property
    def stochastic(self) -> bool:
        """Whether it jumps back at all."""
        return self.repeats > 0

    @property
    def steps_again(self) -> int:
        """Steps of one repeat."""
        return max(1, round(self.share * self.steps))

    @property
    def nfe(self) -> int:
        """The calls of the inner method, on the way and in the repeats."""
        way, again = INNER[self.inner](steps=self.steps), INNER[self.inner](steps=self.steps_again)
        assert way.nfe is not None, "the inner methods count"
        assert again.nfe is not None, "the inner methods count"
        return way.nfe + self.repeats * again.nfe

    def asks(self, plan: Plan) -> Iterable[float]:
        """The times of the plan, and those of a repeat."""
        return sorted({*plan.times[:-1], *self.start(plan).again.times[:-1]}, reverse=True)

    def start(self, plan: Plan) -> State:
        """Where the restarts are, and the way of a repeat."""
        ratios = [s / a if a else float("inf") for a, s in zip(plan.alpha, plan.sigma, strict=True)]
        reached = (i for i in range(1, plan.steps) if ratios[i] <= self.low * (1 + 1e-9))
        after = next(reached, plan.steps)
        steps = max(1, round(self.share * plan.steps))
        last = torch.tensor(plan.times[after : after + 1], dtype=torch.float64)
        lowest = float((-plan.scheduler.log_snr(last) / 2).exp())
        high = min(self.high, ratios[0])  # a run that begins with less noise has no more to add
        if not lowest < high:
            raise ConfigError(
                f"the steps end at sigma / alpha = {lowest:.3g}, and restarts go from {self.low:g} "
                f"back to {high:.3g}: let the grid end lower, or raise high"
            )
        top, bottom = (ratio ** (1 / RHO) for ratio in (high, lowest))
        down = torch.linspace(top, bottom, steps + 1, dtype=torch.float64)[:-1] ** RHO
        times = torch.cat([times_at(plan, down.tolist()), last])
        if not (times.diff() < 0).all():
            raise ConfigError(
                f"no {steps} steps lead from sigma / alpha = {high:.3g} down to "
                f"{lowest:.3g}: the process does not know enough times between them"
            )
        again = Plan.of(plan.scheduler, times, clean=plan.sigma[after] == 0)
        back = jump(plan.alpha[after], plan.sigma[after], again.alpha[0], again.sigma[0])
        return State(INNER[self.inner]().start(plan), after, back, again)

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: State, noise: StepNoise
    ) -> tuple[Tensor, State]:
        """A step of the inner method, and the restarts if they are due."""
        inner = INNER[self.inner]()
        x, inside = inner.step(denoise, x, i, plan, state.inner, noise)
        if i + 1 == state.after:
            share = plan.spans[i][1]  # noise at one level, which is no part of the path of a step
            for k in range(self.repeats):
                z = noise(1 + k, (share, share))
                x = (x * state.jump.kept).add_(z, alpha=state.jump.noise)
                way = inner.start(state.again)
                for j in range(state.again.steps):
                    x, way = inner.step(denoise, x, j, state.again, way, noise)
        return x, state._replace(inner=inside)
