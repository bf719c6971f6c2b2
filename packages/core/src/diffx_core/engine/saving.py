"""Writing a checkpoint: whole or not there, at whatever instant the process or the power ends.

It is written beside its final name under one that nobody reads, every file flushed to the disk,
with the manifest of sizes and SHA-256 sums last, and renamed when it is whole; then `latest`.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from attrs import evolve, field, frozen
from torch import Tensor

from diffx_core.engine.durable import Sum, flush, json_text, replace_text, write
from diffx_core.engine.layout import hidden, place
from diffx_core.engine.manifest import FORMAT, write_manifest
from diffx_core.engine.tensors import serialized, total_size
from diffx_core.errors import CheckpointError


@frozen(eq=False, kw_only=True)
class Snapshot:
    """A run at one of its steps. The tensors may be on any device.

    Args:
        step: steps taken.
        weights: the weights themselves.
        ema: their moving average.
        training: what else training needs to go on, of tensors.
        progress: what else training needs to go on, in JSON types.
        record: how the run was made, in JSON types.
    """

    step: int
    weights: dict[str, Tensor]
    ema: dict[str, Tensor]
    training: dict[str, Tensor] = field(factory=dict)
    progress: dict[str, Any] = field(factory=dict)
    record: dict[str, Any] = field(factory=dict)

    @property
    def files(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """The tensors of each file."""
        yield "model.safetensors", self.weights
        yield "ema.safetensors", self.ema
        if self.training:
            yield "training.safetensors", self.training

    def mapped(self, work: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Self:
        """The same with something done to the tensors of each file."""
        weights, ema, training = map(work, (self.weights, self.ema, self.training))
        return evolve(self, weights=weights, ema=ema, training=training)

    @property
    def bytes(self) -> int:
        """The size of all tensors in files."""
        return sum(total_size(tensors.values()) for _, tensors in self.files)


def save_checkpoint(run: Path, snapshot: Snapshot) -> Path:
    """Write a checkpoint of a run, whole or not at all, and make it the latest.

    One of the same step is replaced, and there until the new one is complete.

    Raises:
        CheckpointError: it cannot be written; those that were there still are.
    """
    final = place(run, snapshot.step)
    partial = hidden(final, "partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_manifest(partial, _write(partial, snapshot))
        flush(partial)
        _publish(partial, final)
        replace_text(run / "latest", final.name + "\n")
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot write {final}: {reason}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if final.exists():
            shutil.rmtree(hidden(final, "replaced"), ignore_errors=True)
    return final


def _write(folder: Path, snapshot: Snapshot) -> dict[str, Sum]:
    sums = {name: write(folder / name, serialized(tensors)) for name, tensors in snapshot.files}
    record = {
        "format": FORMAT,
        "step": snapshot.step,
        "progress": snapshot.progress,
        "run": snapshot.record,
    }
    return {**sums, "record.json": write(folder / "record.json", [json_text(record)])}


def _publish(partial: Path, final: Path) -> None:
    """Give a checkpoint its name; who had it before is complete under another one meanwhile."""
    aside = hidden(final, "replaced")
    occupied = final.exists()
    if occupied:
        shutil.rmtree(aside, ignore_errors=True)
        final.rename(aside)
    try:
        partial.rename(final)
    except OSError:
        if occupied:
            aside.rename(final)
        raise
    flush(final.parent)
