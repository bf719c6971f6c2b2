"""Snapshots of power averages: ``RUN/averages/step-00001000-0.050.{safetensors, json}``.

Each is a state dict of the model in float32. What it is, its size and its SHA-256 are in the JSON,
which is written last: a snapshot without it is not there.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from attrs import evolve, frozen
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from diffx_core.engine.durable import Sum, flush, json_text, replace_text, write
from diffx_core.engine.manifest import verified
from diffx_core.engine.tensors import serialized
from diffx_core.errors import CheckpointError

FOLDER = "averages"
FORMAT = 1


@frozen
class AverageSnapshot:
    """One average of a run at one of its steps.

    Args:
        path: of its tensors.
        step: how many steps had been taken.
        sigma_rel: width of the average.
        buffers: which of the tensors are no averages, but as the model had them then.
        sum: what the file of tensors holds.
    """

    path: Path
    step: int
    sigma_rel: float
    buffers: frozenset[str]
    sum: Sum

    @classmethod
    def described(cls, path: Path) -> Self:
        """The snapshot that a JSON file describes.

        Raises:
            CheckpointError: it is damaged, or a newer diffx wrote it.
        """
        try:
            facts = json.loads(path.read_bytes())
            if facts["format"] != FORMAT:
                raise CheckpointError(
                    f"{path}: written in format {facts['format']}, this diffx reads format {FORMAT}"
                )
            return cls(
                path=path.with_suffix(".safetensors"),
                step=int(facts["step"]),
                sigma_rel=float(facts["sigma_rel"]),
                buffers=frozenset(facts["buffers"]),
                sum=Sum(facts["bytes"], facts["sha256"]),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CheckpointError(f"{path}: does not describe a snapshot: {error}") from error

    def tensors(self) -> dict[str, Tensor]:
        """What is in it.

        Raises:
            CheckpointError: it is not what was written.
        """
        try:
            return load(verified(self.path.parent, self.path.name, self.sum))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.path}: not a readable snapshot: {error}") from error


def label(sigma_rel: float) -> str:
    """A width as file names have it."""
    return f"{sigma_rel:.6f}".rstrip("0").ljust(5, "0")


@frozen(eq=False)
class Kept:
    """An average that is to be written down for good.

    Args:
        step: how many steps have been taken.
        sigma_rel: width of the average.
        state: the average as a state dict of the model.
        buffers: which of its tensors are no averages.
    """

    step: int
    sigma_rel: float
    state: dict[str, Tensor]
    buffers: frozenset[str]

    def mapped(self, work: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Self:
        """The same with something done to its tensors."""
        return evolve(self, state=work(self.state))


def write_snapshots(run: Path, averages: Iterable[Kept]) -> tuple[Path, ...]:
    """Write snapshots of a run, each whole or not at all.

    Raises:
        CheckpointError: one cannot be written.
    """
    return tuple(_write(run, one) for one in averages)


def _write(run: Path, average: Kept) -> Path:
    step, sigma_rel = average.step, average.sigma_rel
    path = run / FOLDER / f"step-{step:08d}-{label(sigma_rel)}.safetensors"
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)  # of a process that was killed
        found = write(partial, serialized(average.state))
        partial.replace(path)
        flush(path.parent)
        facts: dict[str, Any] = {"format": FORMAT, "step": step, "sigma_rel": sigma_rel}
        facts |= {"bytes": found.bytes, "sha256": found.sha256, "buffers": sorted(average.buffers)}
        replace_text(path.with_suffix(".json"), json_text(facts).decode())
    except (OSError, TypeError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot write {path}: {reason}") from error
    return path


def snapshots(run: Path) -> list[AverageSnapshot]:
    """The snapshots of a run, the oldest first.

    Raises:
        CheckpointError: one is damaged.
    """
    found = (AverageSnapshot.described(path) for path in (run / FOLDER).glob("step-*.json"))
    return sorted(found, key=lambda one: (one.step, one.sigma_rel))


def forget(run: Path, after: int) -> None:
    """Remove the snapshots of later steps, and what killed processes left.

    Raises:
        CheckpointError: they cannot be removed.
    """
    folder = run / FOLDER
    later = [one for one in folder.glob("step-*") if _step(one) > after]
    try:
        # The descriptions go first: without one a snapshot is not there.
        for path in [*folder.glob(".*"), *sorted(later, key=lambda one: one.suffix)]:
            path.unlink()
    except OSError as error:
        raise CheckpointError(f"cannot remove {path}: {error.strerror}") from error


def _step(path: Path) -> int:
    number = path.name.split("-")[1]
    return int(number) if number.isdecimal() else -1
