"""A checkpoint: a directory of safetensors and JSON, complete or not there.

    checkpoints/step-00001000/{model.safetensors, ema.safetensors, training.safetensors,
                               record.json, manifest.json}
    latest      the name of the one that was saved last

What is not needed to go on training is in files of its own: the averaged weights are a model by
themselves. Every file is read once and held against the manifest. Nothing executes anything.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from diffx_core.engine.durable import read
from diffx_core.engine.layout import FOLDER, POINTERS, checkpoints, standing, step_of
from diffx_core.engine.manifest import DAMAGES, NAME, read_manifest, verified
from diffx_core.errors import CheckpointError

Part = Literal["weights", "ema", "training"]
FILES: dict[Part, str] = {
    "weights": "model.safetensors",
    "ema": "ema.safetensors",
    "training": "training.safetensors",
}
RECORD = "record.json"


@frozen(eq=False)
class Checkpoint:
    """A loaded checkpoint. Its tensors are in memory: the files may change.

    Args:
        path: of its directory.
        step: steps taken.
        weights: the weights themselves.
        ema: their moving average.
        training: what else training needs to go on, of tensors; empty if it cannot.
        progress: what else training needs to go on, in JSON types.
        record: how the run was made, in JSON types.
    """

    path: Path
    step: int
    weights: dict[str, Tensor]
    ema: dict[str, Tensor]
    training: dict[str, Tensor] = field(factory=dict)
    progress: dict[str, Any] = field(factory=dict)
    record: dict[str, Any] = field(factory=dict)


@frozen(eq=False)
class Newest:
    """The newest checkpoint of a run that is whole.

    Args:
        checkpoint: the checkpoint.
        skipped: what is wrong with each later one, in a line each.
    """

    checkpoint: Checkpoint
    skipped: tuple[str, ...]


def load_checkpoint(
    path: Path, parts: Collection[Part] = ("weights", "ema", "training")
) -> Checkpoint:
    """Load and verify a checkpoint.

    Args:
        path: its directory, or the run whose latest it is.
        parts: which of its tensors; the others are neither read nor verified.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    named = (path / NAME).exists() or (step_of(path) is not None and not (path / FOLDER).exists())
    folder = path if named else latest(path)
    try:
        return _load(folder, parts)
    except (SafetensorError, *DAMAGES) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{folder}: not a readable checkpoint: {reason}") from error


def newest(run: Path) -> Newest:
    """Load the newest checkpoint of a run that is whole, whatever `latest` says.

    Raises:
        CheckpointError: there is none.
    """
    for pointer in POINTERS:
        if (run / pointer).exists() and not (run / pointer).is_file():
            raise CheckpointError(f"{run / pointer}: is not a file, and in the way of one")
    skipped: list[str] = []
    try:
        folders = checkpoints(run)
    except OSError as error:
        raise CheckpointError(f"{run}: cannot be read: {error.strerror}") from error
    for folder in folders:
        try:
            return Newest(load_checkpoint(folder), tuple(skipped))
        except CheckpointError as error:
            skipped.extend(error.problems)
    raise CheckpointError(*skipped, f"{run}: no complete checkpoint there")


def latest(run: Path) -> Path:
    """The directory of the checkpoint of a run that was saved last."""
    if run.is_file():
        raise CheckpointError(f"{run}: is a file; give the folder of a run: {run.parent}")
    if not run.is_dir():
        raise CheckpointError(f"{run}: there is no such folder")
    try:
        name = read(run / "latest").decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{run}: no checkpoint there (no readable file 'latest')") from error
    if step_of(Path(name)) is None or Path(name).name != name:
        raise CheckpointError(f"{run / 'latest'} does not name a checkpoint: {name[:80]!r}")
    return standing(run / FOLDER / name)


def _load(folder: Path, parts: Collection[Part]) -> Checkpoint:
    files = read_manifest(folder)
    record = json.loads(verified(folder, RECORD, files[RECORD]))
    read = {
        part: load(verified(folder, FILES[part], files[FILES[part]]))
        for part in parts
        if FILES[part] in files
    }
    return Checkpoint(
        path=folder,
        step=int(record["step"]),
        weights=read.get("weights", {}),
        ema=read.get("ema", {}),
        training=read.get("training", {}),
        progress=dict(record.get("progress", {})),
        record=dict(record["run"]),
    )
