"""Guidance by contrast: away from what a worse model says, past what the better one says.

    D = D_weak + scale (D_strong - D_weak)

The weak one is the model that is told nothing (classifier-free guidance), or another model that is
told the same (autoguidance). A rule may do more with the two than extrapolate; see
`diffx_core.guidance.rules`.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.estimate import Estimate
from diffx_core.guidance.rules import Extrapolation, Rule
from diffx_core.guidance.wrapper import Guided
from diffx_core.options.checks import of_kind, two_numbers

EVERYWHERE = (0.0, math.inf)


def as_rule(rule: Rule | float) -> Rule:
    """A rule; a number is the scale of an extrapolation."""
    return rule if isinstance(rule, Rule) else Extrapolation(rule)


def ratios(value: Sequence[float]) -> tuple[float, float]:
    """Two rising ratios of noise to data."""
    low, high = two_numbers("an interval of guidance", value)
    if not 0 <= low < high:
        raise ConfigError(f"an interval of guidance needs 0 <= low < high, got {low:g}, {high:g}")
    return low, high


@frozen(eq=False)
class Contrast(Guided):
    """Guidance from two estimates of the same x.

    Args:
        rule: makes one estimate of both; a number means plain extrapolation with that scale.
        interval: where guidance acts, as sigma / alpha; outside the strong model speaks alone.

    References:
        Kynkäänniemi et al., Applying Guidance in a Limited Interval, 2024, arXiv:2404.07724.
    """

    rule: Rule = field(converter=as_rule)
    interval: tuple[float, float] = field(default=EVERYWHERE, converter=ratios)

    @property
    def at_one_time(self) -> str:
        """An interval, or a rule that goes from step to step."""
        if self.rule.idle:
            return ""
        if self.interval != EVERYWHERE:
            return "guidance in an interval"
        return f"the guidance {self.rule}" if self.rule.needs_one_time else ""

    @abstractmethod
    def both(self, x: Tensor, t: float | Tensor, cond: Condition) -> tuple[Estimate, Estimate]:
        """What the strong and the weak model say."""

    def applies(self, cond: Condition) -> bool:
        """Whether there is a weak model to guide away from."""
        del cond
        return True

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Begin anew."""
        self.rule.reset()
        super().prepare(times, device)

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The guided estimate."""
        cond = cond or Condition()
        if self.rule.idle or not self.applies(cond) or not self._inside(x, t):
            return self.inner(x, t, cond)
        if self.rule.needs_one_time and isinstance(t, Tensor):
            raise ConfigError(
                f"the guidance {self.rule} goes from step to step with all samples at once, and "
                "this sampler (as rk45 and parallel do) takes steps of its own for each of them"
            )
        strong, weak = self.both(x, t, cond)
        return self.rule(strong, weak, self.level(t, x))

    def _inside(self, x: Tensor, t: float | Tensor) -> bool:
        if self.interval == EVERYWHERE:
            return True
        if isinstance(t, Tensor):
            raise ConfigError("guidance in an interval needs the same time for the whole batch")
        alpha, sigma = self.level(t, x)
        low, high = self.interval
        return bool(low * alpha < sigma <= high * alpha)


@frozen(eq=False)
class ClassifierFreeGuidance(Contrast):
    """Away from what the same model says when it is told nothing; one call over a doubled batch.

    scale = 1 is the conditional model, 0 the unconditional one. (Ho & Salimans count from zero:
    their w is scale - 1.)

    References:
        Ho & Salimans, Classifier-Free Diffusion Guidance, 2022, arXiv:2207.12598.
    """

    def applies(self, cond: Condition) -> bool:
        """Only something that was said can be left out."""
        return cond.can_be_forgotten

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The guided estimate; for a scale of zero, one call is enough as well."""
        if self.rule.only_weak and cond is not None and self._inside(x, t):
            return self.inner(x, t, cond.forgotten())
        return super().__call__(x, t, cond)

    def both(self, x: Tensor, t: float | Tensor, cond: Condition) -> tuple[Estimate, Estimate]:
        """Told and untold."""
        twice, both = torch.cat([t, t]) if isinstance(t, Tensor) else t, torch.cat([x, x])
        estimate = self.inner(both, twice, cond.with_forgotten())
        told, untold = estimate.halves()
        if estimate.x is both:
            told.x = untold.x = x
        return told, untold


@frozen(eq=False)
class Autoguidance(Contrast):
    """Away from what a smaller or less trained model says of the same; two calls.

    Args:
        weak: that model; of the same process.

    References:
        Karras et al., Guiding a Diffusion Model with a Bad Version of Itself, 2024,
        arXiv:2406.02507.
    """

    weak: Denoiser = field(kw_only=True, validator=of_kind(Denoiser))

    def __attrs_post_init__(self) -> None:
        if self.weak.scheduler != self.inner.scheduler:
            raise ConfigError("autoguidance needs two models of the same process")

    @property
    def t_min(self) -> float:
        """The earliest time at which both can be read."""
        return max(self.inner.t_min, self.weak.t_min)

    @property
    def t_max(self) -> float:
        """The latest time at which both can be read."""
        return min(self.inner.t_max, self.weak.t_max)

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Prepare both."""
        here = list(times)
        super().prepare(here, device)
        self.weak.prepare(here, device)

    def both(self, x: Tensor, t: float | Tensor, cond: Condition) -> tuple[Estimate, Estimate]:
        """Good and bad."""
        strong = self.inner(x, t, cond)
        try:
            return strong, self.weak(x, t, cond)
        except torch.OutOfMemoryError:
            raise
        except (IndexError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(
                f"the weak model of autoguidance cannot be asked what the other one is: {reason}; "
                "it must be a model of the same data"
            ) from error
