"""The probability-flow ODE to a tolerance: Runge-Kutta of order five with an error of order four.

In y = x / (alpha + sigma) and s = sigma / (alpha + sigma) the ODE of every process is that of
rectified flow,

    dy/ds = eps - x0,

which is finite down to where the last step lands on the data. Every sample has steps of its own,
as long as its own error allows: what it becomes does not depend on its batch.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from attrs import field, frozen
from attrs.validators import and_, ge, gt, lt
from torch import Tensor

from diffx_core import Capability, ConfigError, Denoise, Plan, Sampler, StepNoise

# Dormand & Prince, 1980. The last stage is the next step's first.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)

FIRST = 0.05
"""The first step tried, in s."""
SHORTEST = 1e-9
"""A step that is taken whatever its error, so that a network without limits cannot stop a run."""
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0


class Memory(NamedTuple):
    """The slopes (B, *) where the samples are, and the next step (B,) that each will try."""

    slope: Tensor | None = None
    size: Tensor | None = None


@frozen(kw_only=True)
class RK45(Sampler[Memory]):
    """Dormand-Prince: as many network calls as the tolerance takes; deterministic.

    Args:
        steps: at how many times the result is shown; between them the method finds its own steps.
        rtol: error that a step may make, relative to x / (alpha + sigma).
        atol: error that a step may make besides.
        last: sigma / alpha from which the last step lands on the data.

    References:
        Dormand & Prince, A family of embedded Runge-Kutta formulae, 1980.
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456, D.4.
    """

    steps: int = field(default=1, validator=ge(1))
    rtol: float = field(default=1e-4, validator=and_(gt(0), lt(1)))
    atol: float = field(default=1e-4, validator=gt(0))
    last: float = field(default=1e-3, validator=gt(0))

    @property
    def rate(self) -> int:
        """Of its own steps, five."""
        return 5

    @property
    def own_times(self) -> bool:
        """Every sample has steps of its own."""
        return True

    @property
    def converges(self) -> bool:
        """Not with the number of steps: the tolerance decides on the error."""
        return False

    @property
    def nfe(self) -> int | None:
        """Found during the run."""
        return None

    def needs(self) -> frozenset[Capability]:
        """A process that is known at any time."""
        return frozenset({"any_time"})

    def asks(self, plan: Plan) -> Iterable[float]:
        """Nothing beforehand."""
        del plan
        return ()

    def start(self, plan: Plan) -> Memory:
        """Nothing is known beforehand."""
        del plan
        return Memory()

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Memory, noise: StepNoise
    ) -> tuple[Tensor, Memory]:
        """From one time of the plan to the next, in as many steps as it takes."""
        del noise
        self._require_meetable(x.dtype)
        here, there = plan.spans[i]
        clean = plan.sigma[i + 1] == 0
        if clean:
            low = -2 * math.log(self.last)
            known = plan.scheduler.log_snr(torch.tensor(plan.scheduler.t_min, dtype=torch.float64))
            there = min(here, 1 / (1 + math.exp(min(low, float(known)) / 2)))
        flow = Flow(denoise, plan)
        y, memory = x / (plan.alpha[i] + plan.sigma[i]), state
        if here != there:
            y, memory = self._between(flow, y, here, there, state)
        if clean:
            at = torch.full((len(x),), there, dtype=torch.float64)
            t, size = flow.level(at)
            return denoise(y * flow.column(size, y), t).x0, memory
        return y * (plan.alpha[i + 1] + plan.sigma[i + 1]), memory

    def _require_meetable(self, dtype: torch.dtype) -> None:
        rounding = torch.finfo(dtype).eps
        if self.atol + self.rtol < rounding:
            raise ConfigError(
                f"rtol {self.rtol:g} and atol {self.atol:g} are below the rounding of {dtype}, "
                f"which is {rounding:.2g}: no step can meet them, so raise one of the two"
            )

    def _between(
        self, flow: "Flow", y: Tensor, here: float, there: float, state: Memory
    ) -> tuple[Tensor, Memory]:
        """All samples from one s to another."""
        y, sign = y.clone(), math.copysign(1.0, there - here)
        s = torch.full((len(y),), here, dtype=torch.float64)
        size = torch.full_like(s, FIRST) if state.size is None else state.size.clone()
        slope = flow(y, s, torch.arange(len(y))) if state.slope is None else state.slope.clone()
        rows = torch.arange(len(y))
        while len(rows):
            left = (there - s[rows]).abs()
            tried = torch.minimum(size[rows], left)
            ends = torch.where(tried == left, there, s[rows] + sign * tried)
            found, after, error = self._attempt(flow, y, slope, s, ends, rows)
            good = ~(error > 1) | (tried <= SHORTEST)  # one that is not a number is shown as it is
            factor = (SAFETY * error ** (-1 / 5)).nan_to_num(GROW, GROW).clamp(SHRINK, GROW)
            # A step cut short by the end says nothing against the one that was to be tried.
            wanted = tried * factor
            size[rows] = torch.where(
                good, torch.maximum(wanted, size[rows] * (tried == left)), wanted
            )
            done = rows[good]
            at, taken = done.to(y.device), good.to(y.device)
            y[at], slope[at], s[done] = found[taken], after[taken], ends[good]
            rows = rows[s[rows] != there]
        return y, Memory(slope, size)

    def _attempt(
        self, flow: "Flow", y: Tensor, slope: Tensor, s: Tensor, ends: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of some samples: where it leads, the slope there, and its error (rows,)."""
        at = rows.to(y.device)
        begin, slopes = y[at], [slope[at]]
        length = ends - s[rows]
        step = flow.column(length, begin)
        for weights in STAGES:
            moved = sum(w * k for w, k in zip(weights, slopes, strict=True) if w)
            point = begin + step * moved
            c = sum(weights)
            slopes.append(flow(point, torch.lerp(s[rows], ends, c), rows))
        wrong = step * sum(w * k for w, k in zip(ERROR, slopes, strict=True) if w)
        allowed = self.atol + self.rtol * torch.maximum(begin.abs(), point.abs())
        error = (wrong / allowed).flatten(1).square().mean(1).sqrt().to("cpu", torch.float64)
        return point, slopes[-1], error


class Flow:
    """The right-hand side of the ODE."""

    def __init__(self, denoise: Denoise, plan: Plan) -> None:
        self.denoise, self.scheduler, self.latest = denoise, plan.scheduler, max(plan.times)

    def __call__(self, y: Tensor, s: Tensor, rows: Tensor) -> Tensor:
        """The slopes at y (B, *), at s (B,)."""
        t, size = self.level(s)
        x = y * self.column(size, y)
        return self.denoise(x, t, rows=rows.to(y.device)).mix(-1.0, 1.0)

    def level(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """The times at which sigma / (alpha + sigma) is s, and alpha + sigma at them."""
        log_snr = 2 * ((-s).log1p() - s.log())
        t = self.scheduler.time_of(log_snr).clamp(max=self.latest)
        return t, self.scheduler.alpha(t) + self.scheduler.sigma(t)

    @staticmethod
    def column(values: Tensor, y: Tensor) -> Tensor:
        """Values (B,), to multiply y (B, *)."""
        return values.to(y).reshape(-1, *[1] * (y.ndim - 1))
