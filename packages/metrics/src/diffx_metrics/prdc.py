"""How much of what was made is like real data, and how much of the real data was made.

Around each example is a ball that reaches to its k-th neighbour of the same sort.

* precision: the share of made examples that lie in a ball of a real one;
* recall: the share of real examples that lie in a ball of a made one;
* density: in how many balls of real examples a made one lies, over k; may be above 1;
* coverage: the share of real examples in whose ball a made one lies.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from attrs import field, frozen
from attrs.validators import ge
from torch import Tensor

from diffx_core import Metric

ROWS = 1024
"""Examples whose distances from all others are held at once."""


@frozen(kw_only=True)
class PRDC(Metric):
    """Precision, recall, density and coverage.

    Args:
        neighbours: k, to which of the neighbours a ball reaches.

    References:
        Kynkaanniemi et al., Improved Precision and Recall Metric, 2019, arXiv:1904.06991;
        Naeem et al., Reliable Fidelity and Diversity Metrics, 2020, arXiv:2002.09797.
    """

    figures: ClassVar[tuple[str, ...]] = ("precision", "recall", "density", "coverage")
    lower_is_better: ClassVar[bool] = False
    neighbours: int = field(default=5, validator=ge(1))

    @property
    def least(self) -> int:
        """An example and its neighbours."""
        return self.neighbours + 1

    def measure(self, made: Tensor, real: Tensor, *, seed: int) -> Mapping[str, float]:
        """The four shares, of features (N, D) and others (M, D)."""
        del seed  # nothing is drawn
        self.require(len(made), len(real))
        made, real = made.double(), real.double()
        made_reach, real_reach = self._reach(made), self._reach(real)
        balls = _rows(made, real, lambda apart: (apart <= real_reach).sum(1))
        recalled = _rows(real, made, lambda apart: (apart <= made_reach).any(1))
        nearest = _rows(real, made, lambda apart: apart.amin(1))
        return {
            "precision": (balls > 0).double().mean().item(),
            "recall": recalled.double().mean().item(),
            "density": balls.double().mean().item() / self.neighbours,
            "coverage": (nearest <= real_reach).double().mean().item(),
        }

    def _reach(self, x: Tensor) -> Tensor:
        """How far the k-th neighbour of each is; the first of all is itself."""
        place = self.neighbours + 1
        return _rows(x, x, lambda apart: apart.kthvalue(place, dim=1).values)


def _rows(a: Tensor, b: Tensor, found: Callable[[Tensor], Tensor]) -> Tensor:
    """What is found for each of a in its distances from all of b."""
    # differences, not products: the distance of an example from itself is zero
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cat([found(torch.cdist(rows, b, compute_mode=exact)) for rows in a.split(ROWS)])
