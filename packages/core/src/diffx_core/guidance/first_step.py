"""The first step without a network call: where x is all noise, there is nothing to find in it.

For data of mean zero and standard deviation S the best linear estimate of the data behind x is

    D = alpha S^2 / (alpha^2 S^2 + sigma^2) x,

and at the latest time, where sampling begins, no network knows much more.
"""

import math
from collections.abc import Iterable

import torch
from attrs import field, frozen
from attrs.validators import gt
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.estimate import Estimate
from diffx_core.grids import legal
from diffx_core.guidance.wrapper import Guided
from diffx_core.options.checks import finite, number


@frozen(eq=False)
class AnalyticFirstStep(Guided):
    """Answers the first question of sampling from noise itself; all others go to the network.

    So N steps of a method with one call a step make N - 1 network calls. For methods that do not
    know beforehand when they will ask, nothing is answered, nor in runs that begin with less noise
    than there may be, such as edits. Goes around all other wrappers.

    Args:
        sigma_data: S, root mean square of the data.

    References:
        Dockhorn et al., GENIE, 2022, arXiv:2210.05475.
    """

    sigma_data: float = field(default=1.0, kw_only=True, validator=number(gt(0), finite))
    _first: list[float] = field(factory=list, init=False, repr=False)

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Find the first time, if it is the latest that there is."""
        here = list(times)
        ends = torch.tensor([self.t_max, self.scheduler.t_min], dtype=torch.float64)
        latest = float(legal(self.scheduler, ends)[0])
        first = max(here, default=-math.inf)
        self._first[:] = [first] if math.isclose(first, latest, rel_tol=1e-9) else []
        super().prepare(here, device)

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The estimate for Gaussian data at the first time, what the inner one says at others."""
        if isinstance(t, Tensor) or t not in self._first:
            return self.inner(x, t, cond)
        level, variance = self.level(t, x), self.sigma_data**2
        share = level.alpha * variance / (level.alpha**2 * variance + level.sigma**2)
        return level.around(x, share * x)
