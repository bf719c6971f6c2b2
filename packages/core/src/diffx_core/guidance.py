"""Guidance: a denoiser wrapped into a denoiser. Wrappers compose, and no sampler knows of them."""

from collections.abc import Iterable

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.estimate import Estimate
from diffx_core.scheduler import Scheduler


@frozen(eq=False)
class ClassifierFreeGuidance:
    """F = F_untold + scale (F_told - F_untold), both from one forward pass over a doubled batch.

    The output is linear in both ends of the path, so guiding it is guiding x0, eps, score and
    velocity alike. scale = 1 is the conditional model, 0 the unconditional one. (Ho & Salimans
    count from zero: their w is scale - 1.)

    Args:
        inner: the denoiser to guide; trained with some of its labels dropped.
        scale: how hard to push towards the condition.

    References:
        Ho & Salimans, Classifier-Free Diffusion Guidance, 2022, arXiv:2207.12598.
    """

    inner: Denoiser
    scale: float

    @property
    def scheduler(self) -> Scheduler:
        """The process of the inner denoiser."""
        return self.inner.scheduler

    @property
    def t_max(self) -> float:
        """The latest time of the inner denoiser."""
        return self.inner.t_max

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Prepare the inner denoiser."""
        self.inner.prepare(times, device)

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The guided estimate."""
        if self.scale == 1 or cond is None or cond.label is None:
            return self.inner(x, t, cond)
        if self.scale == 0:
            return self.inner(x, t, cond.forgotten())
        twice = torch.cat([t, t]) if isinstance(t, Tensor) else t
        both = self.inner(torch.cat([x, x]), twice, cond.with_forgotten())
        told, untold = both.halves()
        return Estimate(x, torch.lerp(untold.output, told.output, self.scale), told.decoding)
