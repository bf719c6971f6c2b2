"""Guidance by a classifier of noisy data."""

from collections.abc import Callable

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.estimate import Estimate
from diffx_core.guidance.wrapper import GuidedBySlope
from diffx_core.options.checks import finite, number

LogProbability = Callable[[Tensor, float | Tensor, Condition], Tensor]
"""log p(condition | x_t), (B,), of x (B, *) at time t."""


@frozen(eq=False)
class ClassifierGuidance(GuidedBySlope):
    """D <- D + scale (sigma^2 / alpha) grad_x log p(condition | x).

    Args:
        log_probability: the classifier; differentiable, and trained on noisy data.
        scale: how hard to push.

    References:
        Dhariwal & Nichol, Diffusion Models Beat GANs, 2021, arXiv:2105.05233.
    """

    log_probability: LogProbability = field(kw_only=True)
    scale: float = field(default=1.0, kw_only=True, validator=number(finite))

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The guided estimate."""
        cond = cond or Condition()
        estimate, level = self.inner(x, t, cond), self.level(t, x)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.log_probability(leaf, t, cond).sum(), leaf)
        return level.moved(estimate, estimate.x0 + self.scale * level.leverage * slope)
