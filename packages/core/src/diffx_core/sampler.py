"""A sampler is a step; the loop is here, once, for all of them.

A step takes x from one time of the plan to the next, and is written in (alpha, sigma) alone, so it
holds for every process. What depends on the grid but not on x is computed once, in float64, before
the first step.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from itertools import pairwise
from typing import Generic, Protocol, Self, TypeVar

import torch
from attrs import evolve, field, frozen
from attrs.validators import and_, ge, le
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.estimate import Estimate
from diffx_core.grids import Grid, GridName, grid_named, is_grid
from diffx_core.noise import Span
from diffx_core.scheduler import Capability, Scheduler

State = TypeVar("State")


class Denoise(Protocol):
    """A denoiser with its condition."""

    def __call__(self, x: Tensor, t: float | Tensor, *, rows: Tensor | None = None) -> Estimate:
        """Both ends of the path through x at time t, one for all or (B,) one for each.

        Args:
            x: (B, *) noisy samples.
            t: when.
            rows: (B,) which sample each of them belongs to, where they are not all samples in
                their order.
        """
        ...


class StepNoise(Protocol):
    """The noise of one step."""

    def __call__(self, substep: int = 0, span: Span | None = None) -> Tensor:
        """Standard normal noise in the shape of x, for one use within the step.

        Args:
            substep: which use.
            span: where it acts, as values of sigma / (alpha + sigma); over the whole step if None.
        """
        ...


class Noises(Protocol):
    """The noise of all steps."""

    def __call__(self, step: int, substep: int = 0, span: Span | None = None) -> Tensor:
        """The noise of one step, as `StepNoise` has it."""
        ...


MOST_STEPS = 100_000
"""More steps than any table of noise levels has."""
ROUNDING = 1e-6
"""What a grid may miss an end by, of the length of the process."""


@frozen(eq=False)
class Plan:
    """The times of one sampling run, and the noise levels at them.

    Args:
        scheduler: the process.
        times: steps + 1 falling times.
        alpha: at these times.
        sigma: at these times. The last pair is (1, 0) where the last step lands on clean data.
    """

    scheduler: Scheduler
    times: tuple[float, ...]
    alpha: tuple[float, ...]
    sigma: tuple[float, ...]

    @classmethod
    def of(cls, scheduler: Scheduler, times: Tensor, *, clean: bool = True) -> Self:
        """The plan for falling times; if `clean`, the last step returns the expected data."""
        alpha, sigma = scheduler.alpha(times).tolist(), scheduler.sigma(times).tolist()
        if clean:
            alpha[-1], sigma[-1] = 1.0, 0.0
        return cls(scheduler, tuple(times.tolist()), tuple(alpha), tuple(sigma))

    @property
    def steps(self) -> int:
        """How many steps lead through all times."""
        return len(self.times) - 1

    @cached_property
    def half_log_snr(self) -> tuple[float, ...]:
        """log(alpha / sigma) at these times, infinite where one of them is zero."""
        return tuple(
            math.log(alpha / sigma) if alpha * sigma else math.copysign(math.inf, alpha - sigma)
            for alpha, sigma in zip(self.alpha, self.sigma, strict=True)
        )

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """Where each step acts, as values of sigma / (alpha + sigma)."""
        shares = [s / (a + s) for a, s in zip(self.alpha, self.sigma, strict=True)]
        return tuple(pairwise(shares))

    def prior_std(self) -> float:
        """The standard deviation of the noise at the first time."""
        first = self.times[0] == self.scheduler.t_max
        return self.scheduler.prior_std() if first else self.sigma[0]


def named(grid: Grid) -> str:
    """What messages call a function that is a grid."""
    return str(getattr(grid, "__name__", type(grid).__name__))


def grid_option(usual: GridName) -> str | Grid:
    """The option `grid`, for a sampler that has a usual grid of its own."""
    option: str | Grid = field(default=usual, validator=is_grid, metadata={"text": GridName | str})
    return option


@frozen(kw_only=True)
class Sampler(ABC, Generic[State]):
    """A way from noise to data. Subclasses are frozen attrs classes with their options.

    Args:
        steps: steps from noise to data.
        grid: where the steps are: uniform in time (edm: in its logarithm), quadratic in time,
            uniform in log-SNR (logsnr), karras with its rho (karras:7), flow in sigma / (alpha +
            sigma), the same shifted for large images (time_shift:3), Align Your Steps (ays:sd15,
            ays:sdxl, ays:svd), or falling values of sigma / alpha (ratios:20,5,1,0.1). In Python
            also a function.
    """

    steps: int = field(default=50, validator=and_(ge(1), le(MOST_STEPS)))
    grid: str | Grid = grid_option("uniform")

    @property
    def rate(self) -> int:
        """The power of the step size with which the error of the result falls."""
        return 1

    @property
    def stochastic(self) -> bool:
        """Whether the steps draw noise."""
        return False

    @property
    def own_times(self) -> bool:
        """Whether it asks about times of each sample's own, instead of one for all of them."""
        return False

    @property
    def converges(self) -> bool:
        """Whether the error of the result vanishes as the steps become small."""
        return True

    @property
    def nfe(self) -> int | None:
        """How many times the network is called; exactly. None if that is found during the run."""
        return self.steps

    def with_nfe(self, nfe: int) -> Self:
        """The same sampler with as many steps as make `nfe` network calls.

        Examples:
            >>> from diffx_samplers.heun import Heun
            >>> Heun().with_nfe(19).steps
            10
            >>> Heun().with_nfe(20)
            Traceback (most recent call last):
            diffx_core.errors.ConfigError: no number of steps makes exactly 20 network calls; ...
        """
        if self.nfe is None:
            raise ConfigError("how often it calls the network is found during the run")
        if not 1 <= nfe <= MOST_STEPS:
            raise ConfigError(f"the number of network calls must be from 1 to {MOST_STEPS}")

        def calls(steps: int) -> int:
            return evolve(self, steps=steps).nfe or 0

        # No step takes less than a call, and more steps no fewer calls.
        steps = 1 + bisect_left(range(1, nfe + 1), nfe, key=calls)
        if steps <= nfe and calls(steps) == nfe:
            return evolve(self, steps=steps)
        near = " and ".join(str(calls(one)) for one in (steps - 1, steps) if one)
        possible = "is" if steps == 1 else "are"
        raise ConfigError(
            f"no number of steps makes exactly {nfe} network calls; {near} {possible} possible"
        )

    def needs(self) -> frozenset[Capability]:
        """What the process must offer."""
        return frozenset({"reverse_sde"}) if self.stochastic else frozenset()

    def times(self, scheduler: Scheduler, t_max: float) -> Tensor:
        """Steps + 1 falling times in float64, from t_max to the end of the process."""
        grid = grid_named(self.grid) if isinstance(self.grid, str) else self.grid
        return self._sound(grid(scheduler, self.steps, t_max), scheduler.t_min, t_max)

    def _sound(self, times: object, t_min: float, t_max: float) -> Tensor:
        """The times of the grid, if they are what a plan can be made of; from t_max exactly."""
        name = self.grid if isinstance(self.grid, str) else named(self.grid)
        if not isinstance(times, Tensor):
            raise ConfigError(f"the grid {name} must give a tensor, got a {type(times).__name__}")
        if times.shape != (self.steps + 1,) or not (times.diff() < 0).all():
            raise ConfigError(f"the grid {name} does not have {self.steps + 1} falling times")
        exact = times.to("cpu", torch.float64, copy=True)
        first, last, slack = float(exact[0]), float(exact[-1]), ROUNDING * (t_max - t_min)
        if abs(first - t_max) > slack or last < t_min - slack:
            raise ConfigError(
                f"the grid {name} has times from {first:g} down to {last:g}: it must begin at "
                f"{t_max:g} and not go below {t_min:g}, between which the model knows the process"
            )
        exact[0] = t_max
        return exact.clamp_(min=t_min)

    def asks(self, plan: Plan) -> Iterable[float]:
        """When the model will be asked, as far as that is known: it can prepare for these times."""
        return plan.times[:-1]

    @abstractmethod
    def start(self, plan: Plan) -> State:
        """Whatever the steps will need that can be known beforehand."""

    @abstractmethod
    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: State, noise: StepNoise
    ) -> tuple[Tensor, State]:
        """Take x from times[i] to times[i + 1]. The tensor x may be kept, not changed."""

    def run(self, denoise: Denoise, x: Tensor, plan: Plan, noise: Noises) -> Iterator[Tensor]:
        """All states after x. One step after the other, unless the method does it otherwise."""
        state = self.start(plan)
        for i in range(plan.steps):
            x, state = self.step(denoise, x, i, plan, state, partial(noise, i))
            yield x
