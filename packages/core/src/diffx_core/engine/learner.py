"""Everything that training changes, together: what a checkpoint has to hold for it to go on.

    weights     the network                          model.safetensors
    average     what samples are drawn from          ema.safetensors
    training    optimizer/..., objective/..., average/...   training.safetensors
    progress    numbers                              record.json

Data order, noise, times and dropout need nothing: they are functions of the seed and the step.
"""

from collections.abc import Mapping
from typing import Any

import torch
from attrs import asdict, frozen
from torch import Tensor, nn

from diffx_core.engine.averaging import Average
from diffx_core.engine.checkpoint import Checkpoint
from diffx_core.engine.course import Course
from diffx_core.engine.optimizers import Optimizers
from diffx_core.engine.saving import Snapshot
from diffx_core.errors import CheckpointError
from diffx_core.objective import Objective


@frozen(eq=False)
class Learner:
    """What training changes.

    Args:
        model: the network, by whose own names everything is saved.
        objective: what it learns.
        optimizers: with what.
        scaler: of the loss.
        average: of the weights.
        course: how far it has come.
    """

    model: nn.Module
    objective: Objective
    optimizers: Optimizers
    scaler: torch.amp.GradScaler
    average: Average
    course: Course

    def snapshot(self, record: Mapping[str, Any]) -> Snapshot:
        """What a checkpoint holds, where it is now: not copied.

        Args:
            record: how the run was made.
        """
        losses, facts = self._objective()
        shadows, average = self.average.memory()
        return Snapshot(
            step=self.course.step,
            weights=self.model.state_dict(),
            ema=self.average.state(),
            training={
                **_under("optimizer", self.optimizers.memory()),
                **_under("objective", losses),
                **_under("average", shadows),
            },
            progress={
                "course": asdict(self.course),
                "optimizers": self.optimizers.kinds,
                "objective": facts,
                "average": average,
                "scaler": self.scaler.state_dict(),
            },
            record=dict(record),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint, bit for bit.

        Raises:
            CheckpointError: it is of another model, or was not made for going on.
        """
        if not saved.progress:
            raise CheckpointError(
                f"{saved.path}: holds weights, and nothing to go on from; --init-from begins a new "
                "run with them"
            )
        try:
            self.model.load_state_dict(saved.weights)
            memory = _of("optimizer", saved.training)
            self.optimizers.restore(memory, saved.progress["optimizers"])
            self._restore_objective(_of("objective", saved.training), saved.progress["objective"])
            self.average.restore(
                saved.ema, _of("average", saved.training), saved.progress["average"]
            )
            if self.scaler.is_enabled():
                self.scaler.load_state_dict(saved.progress["scaler"])
            for name, value in saved.progress["course"].items():
                setattr(self.course, name, value)
        except (RuntimeError, KeyError, ValueError, AttributeError, TypeError) as error:
            reason = " ".join(str(error).split())[:500]
            raise CheckpointError(f"{saved.path}: does not fit this run: {reason}") from error

    def _objective(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        state = self.objective.state_dict()
        extra: dict[str, Any] = state.pop(EXTRA)
        return {**state, **_under("losses", extra["losses"] or {})}, {"steps": extra["steps"]}

    def _restore_objective(self, tensors: dict[str, Tensor], facts: Mapping[str, Any]) -> None:
        losses = _of("losses", tensors)
        own = {name: one for name, one in tensors.items() if not name.startswith("losses/")}
        extra = {"steps": facts["steps"], "losses": losses or None}
        self.objective.load_state_dict({**own, EXTRA: extra})


EXTRA = "_extra_state"
"""Where torch puts what `get_extra_state` gives."""


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": one for name, one in tensors.items()}


def _of(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {
        name.removeprefix(start): one for name, one in tensors.items() if name.startswith(start)
    }
