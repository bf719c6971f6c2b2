"""A checkpoint: a directory of safetensors and JSON, complete or not there.

    checkpoints/step-00001000/{model.safetensors, ema.safetensors, record.json, manifest.json}
    latest      the name of the newest one

It is written beside its final name, with a manifest of SHA-256 sums last, and renamed when it is
whole. Nothing on the way back executes anything.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffx_core.errors import CheckpointError

FORMAT = 1


@frozen(eq=False)
class Checkpoint:
    """A loaded checkpoint.

    Args:
        path: of its directory.
        step: steps taken.
        weights: the weights themselves.
        ema: their moving average.
        record: how the run was made, in JSON types.
    """

    path: Path
    step: int
    weights: dict[str, Tensor]
    ema: dict[str, Tensor]
    record: dict[str, Any]


def save_checkpoint(
    run: Path,
    step: int,
    *,
    weights: dict[str, Tensor],
    ema: dict[str, Tensor],
    record: dict[str, Any],
) -> Path:
    """Write a checkpoint of a run, whole or not at all, and make it the latest."""
    final = run / "checkpoints" / f"step-{step:08d}"
    partial = final.with_name(f".partial-{final.name}-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        save_file(contiguous(weights), partial / "model.safetensors")
        save_file(contiguous(ema), partial / "ema.safetensors")
        write_json(partial / "record.json", {"format": FORMAT, "step": step, "run": record})
        sums = {path.name: checksum(path) for path in sorted(partial.iterdir())}
        write_json(partial / "manifest.json", {"format": FORMAT, "sha256": sums})
        for path in partial.iterdir():
            flush(path)
        flush(partial)
        partial.rename(final)
        flush(final.parent)
        replace_text(run / "latest", final.name)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot write {final}: {reason}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def load_checkpoint(path: Path) -> Checkpoint:
    """Load and verify a checkpoint: its directory, or the run whose latest it is."""
    folder = path if (path / "manifest.json").exists() else latest(path)
    try:
        verify(folder)
        record = json.loads((folder / "record.json").read_text("utf-8"))
        return Checkpoint(
            folder,
            record["step"],
            load_file(folder / "model.safetensors"),
            load_file(folder / "ema.safetensors"),
            record["run"],
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: not a readable checkpoint: {error}") from error


def latest(run: Path) -> Path:
    """The directory of a run's newest checkpoint."""
    if run.is_file():
        raise CheckpointError(f"{run}: is a file; give the folder of a run: {run.parent}")
    if not run.is_dir():
        raise CheckpointError(f"{run}: there is no such folder")
    try:
        name = (run / "latest").read_text("utf-8").strip()
    except OSError as error:
        raise CheckpointError(f"{run}: no checkpoint there (no readable file 'latest')") from error
    if Path(name).name != name or not name.startswith("step-"):
        raise CheckpointError(f"{run / 'latest'} does not name a checkpoint: {name[:80]!r}")
    return run / "checkpoints" / name


def verify(folder: Path) -> None:
    """Hold every file against the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"{folder}: written in format {manifest['format']}, this diffx reads format {FORMAT}"
        )
    if set(manifest["sha256"]) != {"model.safetensors", "ema.safetensors", "record.json"}:
        raise CheckpointError(f"{folder}: the manifest does not list the files of a checkpoint")
    for name, expected in manifest["sha256"].items():
        if checksum(folder / name) != expected:
            raise CheckpointError(f"{folder / name}: damaged (its SHA-256 is not the manifest's)")


def contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors wants them: on the CPU, and none a view of another."""
    layout = torch.contiguous_format
    return {
        name: tensor.detach().cpu().clone(memory_format=layout) for name, tensor in tensors.items()
    }


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON that a person can read."""
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def replace_text(path: Path, text: str) -> None:
    """Replace a small file in one step."""
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    partial.write_text(text + "\n", "utf-8")
    flush(partial)
    partial.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Make a file or directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
