"""The manifest of a checkpoint: which files it has, how large they are, and their SHA-256.

It is written last. A folder without it is not a checkpoint, and no file is believed whose content
is not what the manifest says.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffx_core.engine.durable import Sum, json_text, read, write
from diffx_core.errors import CheckpointError

FORMAT = 2
READABLE = (1, 2)
"""Format 1 had sums without sizes, and nothing of the training."""

DAMAGES = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a file raises that is not what it should be."""

NAME = "manifest.json"
REQUIRED = frozenset({"model.safetensors", "ema.safetensors", "record.json"})
OPTIONAL = frozenset({"training.safetensors"})


def write_manifest(folder: Path, files: Mapping[str, Sum]) -> None:
    """List the files of a checkpoint."""
    listed = {name: {"bytes": one.bytes, "sha256": one.sha256} for name, one in files.items()}
    write(folder / NAME, [json_text({"format": FORMAT, "files": listed})])


def read_manifest(folder: Path) -> dict[str, Sum]:
    """What the files of a checkpoint should hold; a size of -1 is not known.

    Raises:
        CheckpointError: another format, or a list that is not one of a checkpoint.
        DAMAGES: there is no manifest, or it is damaged.
    """
    manifest = json.loads(read(folder / NAME))
    if manifest["format"] not in READABLE:
        raise CheckpointError(
            f"{folder}: written in format {manifest['format']}, this diffx reads formats 1 and 2"
        )
    files = _sums(manifest)
    present = {name for name in REQUIRED | OPTIONAL if (folder / name).exists()}
    if not REQUIRED <= set(files) <= REQUIRED | OPTIONAL or present - set(files):
        raise CheckpointError(f"{folder}: the manifest does not list the files of a checkpoint")
    return files


def seems_whole(folder: Path) -> bool:
    """Whether all files are there in their sizes; their content is not looked at."""
    try:
        files = read_manifest(folder)
        return all(one.bytes in (-1, (folder / name).stat().st_size) for name, one in files.items())
    except (CheckpointError, *DAMAGES):
        return False


def verified(folder: Path, name: str, expected: Sum) -> bytes:
    """The content of a file, read once.

    Raises:
        CheckpointError: it is not what the manifest says.
    """
    path = folder / name
    size = path.stat().st_size
    if expected.bytes not in (-1, size):
        raise CheckpointError(
            f"{path}: damaged (it has {size} bytes, the manifest says {expected.bytes})"
        )
    content = read(path)
    if hashlib.sha256(content).hexdigest() != expected.sha256:
        raise CheckpointError(f"{path}: damaged (its SHA-256 is not the manifest's)")
    return content


def _sums(manifest: dict[str, Any]) -> dict[str, Sum]:
    if manifest["format"] == 1:
        return {name: Sum(-1, sha256) for name, sha256 in manifest["sha256"].items()}
    return {name: Sum(one["bytes"], one["sha256"]) for name, one in manifest["files"].items()}
