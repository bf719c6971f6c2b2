"""A folder of files that is made once, whoever needs it first, and verified when it is opened.

It is made beside its final name under a lock that dies with its process, with a manifest of SHA-256
sums last, and renamed when all of it is on disk: a folder of that name is complete. One that is
damaged is made again. What was cut off leaves nothing but a folder that the next one removes.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from diffx_core import DataError, cache_folder

MANIFEST = "sha256.json"
FINGERPRINT_DIGITS = 16
log = logging.getLogger(__name__)


def fingerprint(facts: Mapping[str, object]) -> str:
    """A name for what JSON can say of the facts: others have another one."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def kept(name: str, facts: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """The folder that belongs to the facts, made if it is not there.

    Args:
        name: what it begins with.
        facts: what its files are a function of: the source and the options.
        make: writes its files into an empty folder.

    Raises:
        DataError: it cannot be made, or cannot be written where it should be.
    """
    folder = cache_folder() / f"{name}-{fingerprint(facts)}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not _is_whole(folder):
                _made(folder, make)
    except OSError as error:
        raise DataError(
            f"{name}: cannot keep the decoded data in {folder.parent}"
            f" ({error.strerror or error}); set DIFFX_CACHE to a folder that can be written and"
            " has space"
        ) from error
    return folder


def sums(folder: Path) -> dict[str, str]:
    """The SHA-256 sum of each file of a kept folder, by name."""
    said: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return said


def _is_whole(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        said = sums(folder)
        damaged = [name for name, one in said.items() if sha256(folder / name) != one]
        damaged += [] if said else [MANIFEST]
    except (OSError, ValueError, AttributeError):
        damaged = [MANIFEST]
    if damaged:
        log.warning("%s is damaged (%s) and is made again", folder, ", ".join(damaged))
    return not damaged


def _made(folder: Path, make: Callable[[Path], None]) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # the lock is ours: its maker is gone
    partial.mkdir()
    try:
        make(partial)
        said = {one.name: sha256(one) for one in sorted(partial.iterdir())}
        (partial / MANIFEST).write_text(json.dumps(said, indent=2), encoding="utf-8")
        for one in (*partial.iterdir(), partial):
            _to_disk(one)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    _to_disk(folder.parent)


def sha256(path: Path) -> str:
    """The SHA-256 sum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
