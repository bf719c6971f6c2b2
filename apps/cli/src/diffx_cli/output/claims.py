"""A claim to a folder that ends with the process that made it, however that ends.

The claim is a lock on a hidden folder inside. The system drops it with the process, so one that was
killed leaves at most files that nobody claims; the next one clears them away.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffx_core.errors import ConfigError

PARTIAL = ".partial"
"""What a folder holds while diffx works in it."""
TAKEN = {errno.EWOULDBLOCK, errno.EACCES}


def in_use(folder: Path) -> ConfigError:
    """What to say of a folder in which somebody is at work."""
    return ConfigError(f"--out {folder}: another diffx is at work there")


def is_claimed(folder: Path) -> bool:
    """Whether some process is at work in a folder."""
    try:
        lock = _locked(folder / PARTIAL)
    except OSError as error:
        return error.errno in TAKEN
    os.close(lock)
    return False


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """The hidden folder, empty, and ours until the work there is done.

    Raises:
        ConfigError: somebody else is at work there, or it cannot be written to.
    """
    partial = folder / PARTIAL
    try:
        lock = _taken(partial)
        _empty(partial)
    except OSError as error:
        if error.errno in TAKEN:
            raise in_use(folder) from error
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def _taken(partial: Path) -> int:
    while True:
        with suppress(FileExistsError):
            partial.mkdir(parents=True)
        with suppress(FileNotFoundError):  # whoever had it has just removed it
            lock = _locked(partial)
            if os.fstat(lock).st_ino == partial.stat().st_ino:
                return lock
            os.close(lock)


def _locked(partial: Path) -> int:
    lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _empty(partial: Path) -> None:
    """Clear away what a killed process left."""
    for one in partial.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()
