"""Snapshots of power averages: ``RUN/averages/step-00001000-0.050.safetensors``.

Each is a state dict of the model in float32 with its step, its width and a SHA-256 of its tensors
in the header. It is written beside its name and renamed when it is whole.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from attrs import frozen
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffx_core.errors import CheckpointError

FOLDER = "averages"


@frozen(order=True)
class SnapshotFile:
    """One file of snapshots.

    Args:
        step: how many steps had been taken.
        sigma_rel: width of the average.
        path: of the file.
        sum: SHA-256 of its tensors.
    """

    step: int
    sigma_rel: float
    path: Path
    sum: str

    def tensors(self) -> dict[str, Tensor]:
        """What is in it.

        Raises:
            CheckpointError: it is not what was written.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.path}: not a readable snapshot: {error}") from error
        if fingerprint(tensors) != self.sum:
            raise CheckpointError(f"{self.path}: damaged (its SHA-256 is not that of its header)")
        return tensors


def label(sigma_rel: float) -> str:
    """A width as file names have it."""
    return f"{sigma_rel:.6f}".rstrip("0").ljust(5, "0")


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors on the CPU: names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        one = tensors[name].contiguous()
        found.update(f"{name} {one.dtype} {tuple(one.shape)}\n".encode())
        found.update(one.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def write_snapshot(run: Path, step: int, sigma_rel: float, state: Mapping[str, Tensor]) -> Path:
    """Write a snapshot of a run, whole or not at all.

    Raises:
        CheckpointError: it cannot be written.
    """
    path = run / FOLDER / f"step-{step:08d}-{label(sigma_rel)}.safetensors"
    partial = path.with_name(f".partial-{path.name}-{os.getpid()}")
    tensors = {name: one.detach().cpu().clone() for name, one in state.items()}
    facts = {"step": str(step), "sigma_rel": repr(sigma_rel), "sha256": fingerprint(tensors)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata=facts)
        flush(partial)
        partial.replace(path)
        flush(path.parent)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot write {path}: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def snapshots(run: Path) -> list[SnapshotFile]:
    """The snapshots of a run, the oldest first.

    Raises:
        CheckpointError: a file among them is none.
    """
    return sorted(_header(path) for path in (run / FOLDER).glob("step-*.safetensors"))


def _header(path: Path) -> SnapshotFile:
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
        return SnapshotFile(int(facts["step"]), float(facts["sigma_rel"]), path, facts["sha256"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable snapshot: {error}") from error


def flush(path: Path) -> None:
    """Make a file or directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
