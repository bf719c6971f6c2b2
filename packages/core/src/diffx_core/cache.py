"""Where that lies which can be made again at any time: decoded images, encoded texts."""

import os
from contextlib import suppress
from pathlib import Path

from diffx_core.errors import ConfigError


def cache_folder() -> Path:
    """DIFFX_CACHE, or diffx in the user's folder of caches; it need not be there yet.

    Raises:
        ConfigError: it cannot be: what is in its place, or in that of a folder above, is no folder;
            or nobody knows where the user's folders are.
    """
    chosen = os.environ.get("DIFFX_CACHE")
    user = os.environ.get("XDG_CACHE_HOME")
    folder = Path(chosen) if chosen else (Path(user) if user else _home() / ".cache") / "diffx"
    with suppress(OSError):  # what must not even be looked at is named by whoever writes there
        there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
        if there.exists() and not there.is_dir():
            named = "DIFFX_CACHE names" if chosen else "the cache would be"
            where = "which" if there == folder else f"but {there}"
            raise ConfigError(
                f"{named} {folder}, {where} is no folder; set DIFFX_CACHE to a folder, which is"
                " made if it is not there"
            )
    return folder


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigError(
            "there is no home folder in which the cache could be; set DIFFX_CACHE to a folder"
        ) from error
