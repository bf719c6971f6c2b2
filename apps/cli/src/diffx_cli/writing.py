"""Files that cannot be written: a line that says where and why."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from diffx_core.errors import ConfigError

UNWRITABLE = {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EPERM, errno.EROFS}
"""What a system says of a disk that is full, or may not be written to."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Work that writes to a folder.

    Raises:
        ConfigError: it cannot be written to.
    """
    try:
        yield
    except SafetensorError as error:
        raise ConfigError(f"{folder}: cannot be written: {error}") from error
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
