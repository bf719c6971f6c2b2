"""Files that survive a power cut, with the sums of what went into them.

A file is hashed while it is written, so that its bytes pass once; what is read back is held against
that sum.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from attrs import frozen

PIECE = 1 << 20
"""Bytes that are hashed and written at a time: they are still in the cache."""


@frozen
class Sum:
    """What a file holds.

    Args:
        bytes: its size.
        sha256: of its content, in hexadecimal.
    """

    bytes: int
    sha256: str


def write(path: Path, content: Iterable[bytes | memoryview]) -> Sum:
    """Write a file to the disk itself, not only to a cache; it must not exist yet."""
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        for part in content:
            view = memoryview(part)
            for start in range(0, len(view), PIECE):
                piece = view[start : start + PIECE]
                digest.update(piece)
                size += len(piece)
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return Sum(size, digest.hexdigest())


def json_text(value: dict[str, Any]) -> bytes:
    """JSON that a person can read."""
    return (json.dumps(value, indent=2) + "\n").encode("utf-8")


def replace_text(path: Path, text: str) -> None:
    """Replace a small file in one step: it has the old content or the new one."""
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        write(partial, [text.encode("utf-8")])
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    flush(path.parent)


def read(path: Path) -> bytes:
    """The content of a file, and only of a file: a pipe would be waited for.

    Raises:
        OSError: it is none, or cannot be read.
    """
    with _opened(path) as file:
        return file.read()


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, and only of a file, one at a time; each with its end if it has one.

    Raises:
        OSError: it is none, or cannot be read.
    """
    with _opened(path) as file:
        yield from file


def _opened(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "Is not a file", str(path))
    return file


def append(path: Path, text: str) -> None:
    """Add to a file, all of the text or, if there is no room, nothing."""
    rest = memoryview(text.encode("utf-8"))
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(before)
            raise


def flush(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
