"""A sampler is a step; the loop is here, once, for all of them.

A step takes x from one time of the plan to the next, and is written in (alpha, sigma) alone, so it
holds for every process. What depends on the grid but not on x is computed once, in float64, before
the first step.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Generic, Self, TypeVar, get_args

from attrs import evolve, field, frozen
from attrs.validators import ge, in_
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.estimate import Estimate
from diffx_core.grids import GRIDS, GridName, legal
from diffx_core.noise import START, Noise
from diffx_core.scheduler import Capability, Scheduler

State = TypeVar("State")
Denoise = Callable[[Tensor, float], Estimate]
"""A denoiser with its condition: (x, t) to Estimate."""
StepNoise = Callable[[int], Tensor]
"""The noise of one step, in the shape of x: substep to tensor."""


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

    def prior_std(self) -> float:
        """The standard deviation of the noise at the first time."""
        first = self.times[0] == self.scheduler.t_max
        return self.scheduler.prior_std() if first else self.sigma[0]


@frozen(kw_only=True)
class Sampler(ABC, Generic[State]):
    """A way from noise to data. Subclasses are frozen attrs classes with their options.

    Args:
        steps: steps from noise to data.
        grid: where the steps are: uniform in time (edm: in its logarithm), quadratic in time,
            uniform in log-SNR, or as Karras et al. have them.
    """

    order: ClassVar[int] = 1
    """The error of the result falls with this power of the step size."""

    steps: int = field(default=50, validator=ge(1))
    grid: GridName = field(default="uniform", validator=in_(get_args(GridName)))

    @property
    def stochastic(self) -> bool:
        """Whether the steps draw noise."""
        return False

    @property
    def converges(self) -> bool:
        """Whether the error of the result vanishes as the steps become small."""
        return True

    @property
    def nfe(self) -> int:
        """How many times the network is called; exactly."""
        return self.steps

    def with_nfe(self, nfe: int) -> Self:
        """The same sampler with as many steps as make `nfe` network calls."""
        for steps in range(1, nfe + 1):
            candidate = evolve(self, steps=steps)
            if candidate.nfe == nfe:
                return candidate
        possible = [evolve(self, steps=steps).nfe for steps in range(1, nfe + 2)]
        near = sorted(possible, key=lambda count: abs(count - nfe))[:2]
        raise ConfigError(
            f"no number of steps makes exactly {nfe} network calls; "
            f"{min(near)} and {max(near)} are possible"
        )

    def needs(self) -> frozenset[Capability]:
        """What the process must offer."""
        return frozenset({"reverse_sde"}) if self.stochastic else frozenset()

    def times(self, scheduler: Scheduler, t_max: float) -> Tensor:
        """Steps + 1 falling times in float64, from t_max to the end of the process."""
        return GRIDS[self.grid](scheduler, self.steps, t_max)

    @abstractmethod
    def start(self, plan: Plan) -> State:
        """Whatever the steps will need that can be known beforehand."""

    @abstractmethod
    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: State, noise: StepNoise
    ) -> tuple[Tensor, State]:
        """Take x from times[i] to times[i + 1]. The tensor x may be kept, not changed."""


def require(sampler: Sampler[State], scheduler: Scheduler) -> None:
    """Refuse a pair that cannot work, saying what is missing."""
    missing = sampler.needs() - scheduler.offers()
    if missing:
        raise ConfigError(
            f"the sampler {type(sampler).__name__} needs {', '.join(sorted(missing))}, "
            f"which the scheduler {type(scheduler).__name__} does not offer"
        )


def sample(
    sampler: Sampler[State],
    denoiser: Denoiser,
    shape: Sequence[int],
    *,
    noise: Noise,
    cond: Condition | None = None,
    observe: Callable[[int, Tensor], None] | None = None,
    plan: Plan | None = None,
) -> Tensor:
    """Draw samples (B, *shape), where B is the number of streams of the noise source.

    Where the process has an anchor y, all steps are taken in x - y, and y is added at the end.

    Args:
        sampler: the method.
        denoiser: the model.
        shape: of one sample.
        noise: the randomness.
        cond: what each sample is told.
        observe: called after every step with its number and x.
        plan: the times to go through instead of the sampler's own.
    """
    require(sampler, denoiser.scheduler)
    scheduler = denoiser.scheduler
    if plan is None:
        plan = Plan.of(scheduler, legal(scheduler, sampler.times(scheduler, denoiser.t_max)))
    anchor = scheduler.anchor(cond or Condition())
    denoiser.prepare(plan.times[:-1], noise.device)
    denoise = partial(denoiser, cond=cond)
    state = sampler.start(plan)
    x = scheduler.noise(noise, shape, START) * plan.prior_std()
    for i in range(plan.steps):
        x, state = sampler.step(denoise, x, i, plan, state, partial(noise.normal, shape, i))
        if observe is not None:
            observe(i, x if anchor is None else x + anchor)
    return x if anchor is None else x + anchor
