"""What to make of a strong and a weak estimate of the same x.

Both ends of the path are linear in the network's output, so a plain extrapolation of the output is
one of x0, eps, score and velocity alike. The other rules work on the data end D, and move the noise
end so that both meet where those of the strong estimate do.
"""

from abc import ABC, abstractmethod

import torch
from attrs import define, field, frozen
from torch import Tensor

from diffx_core.estimate import Decoding, Estimate, from_ends
from diffx_core.guidance.wrapper import Pair
from diffx_core.options.guidance import MIX, MOMENTUM, NORM, SCALE


class Rule(ABC):
    """Makes one estimate of two."""

    @property
    def idle(self) -> bool:
        """Whether the strong estimate is all that is needed."""
        return False

    @property
    def only_weak(self) -> bool:
        """Whether the weak estimate is."""
        return False

    @property
    def needs_one_time(self) -> bool:
        """Whether all examples must be at the same time, and go on from there together."""
        return False

    def reset(self) -> None:  # noqa: B027 - most rules have nothing to forget
        """Forget an earlier run."""

    @abstractmethod
    def __call__(self, strong: Estimate, weak: Estimate, level: Pair) -> Estimate:
        """The guided estimate."""


def same(a: Decoding, b: Decoding) -> bool:
    """Whether two outputs are read in the same way."""
    return a is b or all(
        torch.equal(torch.as_tensor(x), torch.as_tensor(y)) for x, y in zip(a, b, strict=True)
    )


@frozen
class Extrapolation(Rule):
    """F = F_weak + scale (F_strong - F_weak).

    Args:
        scale: 1 is the strong model, 0 the weak one.
    """

    scale: float = field(validator=SCALE)

    @property
    def idle(self) -> bool:
        """At a scale of one."""
        return self.scale == 1

    @property
    def only_weak(self) -> bool:
        """At a scale of zero."""
        return self.scale == 0

    def __call__(self, strong: Estimate, weak: Estimate, level: Pair) -> Estimate:
        """The guided estimate."""
        meet = strong.x is weak.x  # if not, they are of different x, or have ends of their own
        if meet and same(strong.decoding, weak.decoding):
            output = torch.lerp(weak.output, strong.output, self.scale)
            return Estimate(strong.x, output, strong.decoding)
        x0 = torch.lerp(weak.x0, strong.x0, self.scale)
        if meet:
            return level.around(strong.x, x0)
        return from_ends(x0, torch.lerp(weak.eps, strong.eps, self.scale))


@frozen
class Rescaled(Rule):
    """Extrapolation whose result has the contrast of the strong estimate, or a part of the way.

    D <- phi D std(D_strong) / std(D) + (1 - phi) D, with deviations over each example.

    Args:
        scale: of the extrapolation.
        phi: the part of the way.

    References:
        Lin et al., Common Diffusion Noise Schedules and Sample Steps are Flawed, 2023,
        arXiv:2305.08891, eq. 15.
    """

    scale: float = field(validator=SCALE)
    phi: float = field(default=0.7, validator=MIX)

    def __call__(self, strong: Estimate, weak: Estimate, level: Pair) -> Estimate:
        """The guided estimate."""
        told = strong.x0
        guided = torch.lerp(weak.x0, told, self.scale)
        axes = tuple(range(1, told.ndim))
        deviation = guided.std(axes, keepdim=True, correction=0)
        # An example without contrast has none to keep.
        ratio = told.std(axes, keepdim=True, correction=0) / torch.where(
            deviation > 0, deviation, 1
        )
        return level.moved(strong, guided * (self.phi * ratio + (1 - self.phi)))


@frozen
class PlusPlus(Rule):
    """CFG++: the data end is guided, the noise end is that of the weak model.

    Args:
        scale: from 0, the weak model, to 1.

    References:
        Chung et al., CFG++, 2024, arXiv:2406.08070.
    """

    scale: float = field(validator=MIX)

    @property
    def needs_one_time(self) -> bool:
        """It changes what a step does, and there is no ODE that could be followed otherwise."""
        return True

    def __call__(self, strong: Estimate, weak: Estimate, level: Pair) -> Estimate:
        """The guided estimate; its two ends do not meet in x."""
        del level
        return from_ends(torch.lerp(weak.x0, strong.x0, self.scale), weak.eps)


@define
class Projected(Rule):
    """Adaptive projected guidance: the part of the difference along D_strong is damped.

    Delta = D_strong - D_weak + momentum Delta_before, no longer than `norm`; then D = D_strong +
    (scale - 1) (Delta_across + parallel Delta_along).

    Args:
        scale: of the extrapolation.
        momentum: of the difference; below zero it is pushed away from where it was.
        norm: root mean square that a difference may have.
        parallel: what is kept of the part along D_strong.

    References:
        Sadat et al., Eliminating Oversaturation and Artifacts of High Guidance Scales, 2024,
        arXiv:2410.02416.
    """

    scale: float = field(validator=SCALE)
    momentum: float = field(default=-0.5, validator=MOMENTUM)
    norm: float = field(default=1.0, validator=NORM)
    parallel: float = field(default=0.0, validator=MIX)
    _before: Tensor | None = field(default=None, init=False, repr=False)

    @property
    def idle(self) -> bool:
        """At a scale of one."""
        return self.scale == 1

    @property
    def needs_one_time(self) -> bool:
        """With momentum, which is of the call before."""
        return self.momentum != 0

    def reset(self) -> None:
        """Forget the difference."""
        self._before = None

    def __call__(self, strong: Estimate, weak: Estimate, level: Pair) -> Estimate:
        """The guided estimate."""
        told = strong.x0
        delta = told - weak.x0
        if self._before is not None:
            delta = delta + self.momentum * self._before
        self._before = delta if self.needs_one_time else None
        axes = tuple(range(1, told.ndim))
        length = delta.square().mean(axes, keepdim=True).sqrt()
        least = torch.finfo(told.dtype).tiny
        delta = delta * (self.norm / length.clamp(min=least)).clamp(max=1)
        size = told.square().sum(axes, keepdim=True).clamp(min=least)
        along = (delta * told).sum(axes, keepdim=True) / size
        across = delta - along * told
        kept = across + self.parallel * along * told
        return level.moved(strong, told + (self.scale - 1) * kept)
