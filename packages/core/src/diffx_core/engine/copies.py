"""A snapshot copied to memory that is used again for the next one.

From a GPU the copies are asked for all at once, into pinned memory, and waited for together.
"""

import copy
from collections.abc import Mapping

import torch
from attrs import define, evolve, field
from torch import Tensor

from diffx_core.engine.saving import Snapshot


@define(eq=False)
class Copies:
    """Memory on the CPU for one snapshot."""

    _memory: dict[tuple[str, str], Tensor] = field(factory=dict, init=False)

    def of(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot in this memory; what was there before is gone."""
        copied = self.of_parts(
            {"weights": snapshot.weights, "ema": snapshot.ema, "training": snapshot.training}
        )
        return evolve(
            snapshot,
            weights=copied["weights"],
            ema=copied["ema"],
            training=copied["training"],
            progress=copy.deepcopy(snapshot.progress),
            record=copy.deepcopy(snapshot.record),
        )

    def of_parts(self, parts: Mapping[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
        """The same tensors in this memory; what was there before is gone."""
        old, self._memory = self._memory, {}
        copied = {part: self._copied(part, tensors, old) for part, tensors in parts.items()}
        for device in {tensor.device for part in parts.values() for tensor in part.values()}:
            if device.type == "cuda":
                torch.cuda.current_stream(device).synchronize()
        return copied

    def _copied(
        self, part: str, tensors: dict[str, Tensor], old: dict[tuple[str, str], Tensor]
    ) -> dict[str, Tensor]:
        for name, tensor in tensors.items():
            place = old.pop((part, name), None)
            if place is None or (place.shape, place.dtype) != (tensor.shape, tensor.dtype):
                place = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            place.copy_(tensor.detach(), non_blocking=tensor.is_cuda)
            self._memory[part, name] = place
        return {name: self._memory[part, name] for name in tensors}
