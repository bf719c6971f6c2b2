"""What an average of the weights does for a training run.

It is told of every step that the optimizer confirmed, hands out a state dict of the model, and
knows what else it needs in order to go on bit for bit after a resume. Before it has been told of
any step, the average is the weights themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffx_core.engine.averaging.snapshots import Kept
from diffx_core.engine.averaging.weights import Weights
from diffx_core.errors import CheckpointError
from diffx_core.options import EmaKind


class Average(ABC):
    """An average of a model's weights over the steps.

    Args:
        model: whose weights are averaged; wrappers of torch may be around it.
    """

    kind: EmaKind

    def __init__(self, model: nn.Module) -> None:
        self.weights = Weights(model)
        self._is_applied = False

    def update(self, step: int) -> None:
        """Take in the weights as they are, when so many steps have been taken."""
        if self._is_applied:
            raise RuntimeError("the model carries its average, which must not be averaged again")
        self._take_in(step)

    def state(self) -> dict[str, Tensor]:
        """The averaged weights (float32) and the current buffers, as a state dict of the model.

        Like any state dict it refers to what it shows: copy what has to last beyond the next step.
        """
        return self.weights.state(self._averaged())

    def memory(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What besides `state` is needed to go on: tensors by name, and facts in JSON types."""
        tensors, facts = self._memory()
        return tensors, {"kind": self.kind, **facts}

    def restore(
        self,
        averaged: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None:
        """Go on from where `state` and `memory` were taken.

        Raises:
            CheckpointError: they are of another average, or of another model.
        """
        if facts.get("kind") != self.kind:
            raise CheckpointError(
                f"the weights were averaged by kind={facts.get('kind')}, which cannot go on as "
                f"kind={self.kind}"
            )
        try:
            self._restore(averaged, tensors, facts)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the memory of the average is damaged: {error}") from error

    def begin(self, run: Path) -> None:  # noqa: B027 - most have nothing there
        """Remove what was written down of later steps than that at which training goes on.

        Raises:
            CheckpointError: it cannot be removed.
        """

    def due(self, step: int, *, last: bool = False) -> tuple[Kept, ...]:  # noqa: ARG002
        """What is to be written down for good of a step, not copied; once each.

        Args:
            step: how many steps have been taken.
            last: whether there will be no more.
        """
        return ()

    def snapshot(self, run: Path, step: int, *, last: bool = False) -> tuple[Path, ...]:  # noqa: ARG002
        """Write down at once what is due, for a loop of one's own.

        Args:
            run: folder of the run.
            step: how many steps have been taken.
            last: whether there will be no more.

        Returns:
            The files that were written.
        """
        return ()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model carries its average inside, and its own values again afterwards."""
        if self._is_applied:
            raise RuntimeError("the model carries its average already")
        tensors = [*self.weights.parameters, *self.weights.model.buffers()]
        own = [one.detach().clone() for one in tensors]
        self._is_applied = True
        try:
            fill(self.weights.parameters, self._averaged())
            yield
        finally:
            fill(tensors, own)
            self._is_applied = False

    @abstractmethod
    def _take_in(self, step: int) -> None: ...

    @abstractmethod
    def _averaged(self) -> list[Tensor]: ...

    @abstractmethod
    def _memory(self) -> tuple[dict[str, Tensor], dict[str, Any]]: ...

    @abstractmethod
    def _restore(
        self,
        averaged: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None: ...


@torch.no_grad()
def fill(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give tensors these values, in the memory that they have."""
    for one, value in zip(tensors, values, strict=True):
        one.copy_(value)
