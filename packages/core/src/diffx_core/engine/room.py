"""Whether checkpoints have room, asked before hours of training instead of after them."""

import shutil
from pathlib import Path

from diffx_core.engine.layout import FOLDER
from diffx_core.errors import ConfigError


def check_room(run: Path, size: int) -> None:
    """Refuse to train where two checkpoints have no room: one stays until the next is complete.

    Args:
        run: folder of the run; it need not exist yet.
        size: of a checkpoint, in bytes.

    Raises:
        ConfigError: the volume that checkpoints are on has less room.
    """
    there = (run / FOLDER).absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < 2 * size:
        raise ConfigError(
            f"{run}: a checkpoint takes about {readable(size)}, and twice that has to fit; there"
            f" are {readable(free)} free: make room, or name another folder"
        )


def readable(size: int) -> str:
    """Bytes as a person says them."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
