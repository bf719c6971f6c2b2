"""Files that cannot be written: a line that says where and why."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from diffx_core.errors import CheckpointError, ConfigError

UNWRITABLE = {
    *(errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EPERM, errno.EROFS),
    *(errno.EISDIR, errno.ENAMETOOLONG),
}
"""What a system says of a disk that is full, of a place that may not be or cannot be written to."""


@contextmanager
def writing(folder: Path, *, checkpoints: bool = True) -> Iterator[None]:
    """Work that writes to a folder.

    Args:
        folder: where.
        checkpoints: whether one that cannot be written is refused as other files are.

    Raises:
        ConfigError: it cannot be written to.
    """
    try:
        yield
    except (CheckpointError, SafetensorError, OSError) as error:
        if isinstance(error, CheckpointError) and not checkpoints:
            raise
        cause = error.__cause__ if isinstance(error, CheckpointError) else error
        if isinstance(cause, SafetensorError):
            raise ConfigError(f"{folder}: cannot be written: {cause}") from error
        if isinstance(cause, OSError) and cause.errno in UNWRITABLE:
            raise ConfigError(f"{folder}: cannot be written: {cause.strerror}") from error
        raise
