"""Data that fit in memory: two tensors, from which a batch is one selection each.

Shapes: x (N, *shape), label (N,), index (B,).
"""

from attrs import field, frozen
from torch import Tensor

from diffx_core import Batch, Condition, DataError


@frozen(eq=False)
class Resident:
    """All examples and, where there are any, their labels.

    Args:
        x: (N, *shape) examples; finite.
        label: (N,) int64 class labels, or None.
    """

    x: Tensor = field()
    label: Tensor | None = None

    @x.validator
    def _check(self, _: object, x: Tensor) -> None:
        if not x.isfinite().all():
            raise DataError(f"{int((~x.isfinite()).sum())} of {x.numel()} values are not finite")

    @property
    def rms(self) -> float:
        """Root mean square of all values about zero."""
        return self.x.double().square().mean().sqrt().item()

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index: Tensor) -> Batch:
        """The examples at the (B,) positions `index`."""
        label = None if self.label is None else self.label.index_select(0, index)
        return Batch(x=self.x.index_select(0, index), cond=Condition(label=label), index=index)
