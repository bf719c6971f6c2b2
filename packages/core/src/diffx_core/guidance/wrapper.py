"""A denoiser around a denoiser: what every kind of guidance has in common."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.estimate import Coefficient, Ends, Estimate, from_x0, spread
from diffx_core.noise import Noise
from diffx_core.options.checks import of_kind
from diffx_core.scheduler import Scheduler


class Pair(NamedTuple):
    """Alpha and sigma at a time: floats for one time, tensors that multiply x for one of each."""

    alpha: Coefficient
    sigma: Coefficient

    def around(self, x: Tensor, x0: Tensor) -> Estimate:
        """The estimate of x whose data end is x0."""
        alpha, sigma = (c.flatten() if isinstance(c, Tensor) else c for c in self)
        return from_x0(x, x0, alpha, sigma)

    def meeting(self, estimate: Estimate) -> Tensor:
        """Where the ends of an estimate meet: in its x, unless it has none of its own."""
        if not isinstance(estimate, Ends):
            return estimate.x
        alpha, sigma = (c.flatten() if isinstance(c, Tensor) else c for c in self)
        return estimate.mix(alpha, sigma)

    def moved(self, estimate: Estimate, x0: Tensor) -> Estimate:
        """The estimate with another data end, and its noise end moved so that they meet there."""
        return self.around(self.meeting(estimate), x0)

    @property
    def leverage(self) -> Coefficient:
        """sigma^2 / alpha: how far a gradient of log p(. | x) moves the expected data."""
        return self.sigma * self.sigma / self.alpha


def fresh(noise: Noise, shape: Sequence[int], call: int, x: Tensor, *, substep: int = 0) -> Tensor:
    """Noise (B, *shape) of a guided denoiser's own, for one of its calls, beside x (B, *)."""
    z = noise.normal(shape, call, substep)
    if len(z) != len(x):
        raise ConfigError(
            f"the noise of the guidance is for {len(z)} samples and the batch has {len(x)}: "
            "classifier-free guidance must be inside of it, and the sampler call for all samples"
        )
    return z.to(x)


MOST_NOISE = 1e3
"""The sigma / alpha beyond which no slope can be read: what it moves is in proportion to alpha."""


def latest_with_data(scheduler: Scheduler) -> float:
    """The latest time of a process at which data are left."""
    least = torch.tensor(-2 * math.log(MOST_NOISE), dtype=torch.float64)
    known = scheduler.grid()
    if known is None:
        return float(scheduler.time_of(least))
    return float(known[scheduler.log_snr(known) >= least][-1])


@frozen(eq=False)
class Guided:
    """A denoiser that changes what another one says.

    Args:
        inner: the denoiser to guide.
    """

    inner: Denoiser = field(validator=of_kind(Denoiser))
    _levels: dict[float, Pair] = field(factory=dict, init=False, repr=False)
    _calls: list[int] = field(factory=lambda: [0], init=False, repr=False)

    @property
    def scheduler(self) -> Scheduler:
        """The process of the inner denoiser."""
        return self.inner.scheduler

    @property
    def t_min(self) -> float:
        """The earliest time of the inner denoiser."""
        return self.inner.t_min

    @property
    def t_max(self) -> float:
        """The latest time of the inner denoiser."""
        return self.inner.t_max

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Forget earlier runs, look up the levels, and prepare the inner denoiser."""
        here = list(times)
        self._calls[0] = 0
        self._levels.clear()
        t = torch.tensor(here, dtype=torch.float64)
        columns = self.scheduler.alpha(t).tolist(), self.scheduler.sigma(t).tolist()
        self._levels.update(zip(here, map(Pair, *columns), strict=True))
        self.inner.prepare(here, device)

    def level(self, t: float | Tensor, x: Tensor) -> Pair:
        """Alpha and sigma at t."""
        if isinstance(t, Tensor):
            pair = self.scheduler.alpha(t), self.scheduler.sigma(t)
            return Pair(*(spread(one.to(x), x) for one in pair))
        if t not in self._levels:
            at = torch.tensor(t, dtype=torch.float64)
            self._levels[t] = Pair(float(self.scheduler.alpha(at)), float(self.scheduler.sigma(at)))
        return self._levels[t]

    def seen(self, data: Tensor, cond: Condition | None) -> Tensor:
        """Data as x has them: about the anchor of the process, if it has one."""
        anchor = self.scheduler.anchor(cond or Condition())
        return data if anchor is None else data - anchor.to(data)

    @property
    def at_one_time(self) -> str:
        """What it does that needs the same time for all samples; nothing if it needs that not."""
        return ""

    def require(self, shape: torch.Size) -> None:
        """Refuse batches x of a shape (B, *) that cannot be guided."""

    def called(self) -> int:
        """How many calls of the run were counted before; this one is counted."""
        self._calls[0] += 1
        return self._calls[0] - 1


@frozen(eq=False)
class GuidedBySlope(Guided):
    """A denoiser that follows a slope over x, which sampling begins with some data left for."""

    @property
    def t_max(self) -> float:
        """The latest time of the inner denoiser at which data are left."""
        return min(self.inner.t_max, latest_with_data(self.scheduler))


def parts(denoiser: object) -> Iterator[object]:
    """A denoiser, and all those that it is made of."""
    yield denoiser
    for name in ("inner", "weak"):
        if (inside := getattr(denoiser, name, None)) is not None:
            yield from parts(inside)


def inside(denoiser: object) -> Iterator[Denoiser]:
    """The models that guidance is around; none if the denoiser is not guided."""
    if isinstance(denoiser, Guided):
        for one in (denoiser.inner, getattr(denoiser, "weak", None)):
            if one is not None:
                yield from inside(one) if isinstance(one, Guided) else (one,)


def guides(denoiser: object) -> Iterator[Guided]:
    """All guidance that a denoiser is made of."""
    return (one for one in parts(denoiser) if isinstance(one, Guided))


def drawn_by(denoiser: object) -> bool:
    """Whether a denoiser, or one inside of it, draws noise of its own."""
    return any(getattr(one, "noise", None) is not None for one in parts(denoiser))
