"""The sliced Wasserstein distance: on a line, what goes where is a matter of sorting."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from attrs import field, frozen
from attrs.validators import ge
from torch import Tensor

from diffx_core import Metric, Reads

LINES = 64
"""Lines on which all examples are held at once."""


@frozen(kw_only=True)
class SlicedWasserstein(Metric):
    """The root mean square of the 2-Wasserstein distances on random lines, of the values alone.

    Args:
        lines: how many.

    References:
        Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, 2015.
    """

    figures: ClassVar[tuple[str, ...]] = ("SW2",)
    lower_is_better: ClassVar[bool] = True
    reads: ClassVar[Reads] = "examples"
    lines: int = field(default=512, validator=ge(1))

    def measure(self, made: Tensor, real: Tensor, *, seed: int) -> Mapping[str, float]:
        """The distance of examples (N, *shape) from others (M, *shape)."""
        self.require(len(made), len(real))
        made, real = made.flatten(1), real.flatten(1)
        generator = torch.Generator().manual_seed(seed % 2**63)
        lines = torch.randn(made.shape[1], self.lines, generator=generator, dtype=torch.float64)
        lines /= lines.norm(dim=0)
        most = max(len(made), len(real))
        squares = [
            (_quantiles(made, some, most) - _quantiles(real, some, most)).square().mean(0)
            for some in lines.split(LINES, 1)
        ]
        return {"SW2": torch.cat(squares).mean().sqrt().item()}


def _quantiles(x: Tensor, lines: Tensor, count: int) -> Tensor:
    """The values on each line (count, L) in order; of fewer examples, some stand for several."""
    ordered = (x.double() @ lines).sort(0).values
    # the middle of the k-th of `count` equal shares, exactly
    places = (2 * torch.arange(count) + 1) * len(x) // (2 * count)
    return ordered[places]
