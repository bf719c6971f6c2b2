"""Where that lies which can be made again at any time: decoded images, encoded texts."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """DIFFX_CACHE, or diffx in the user's folder of caches."""
    chosen = os.environ.get("DIFFX_CACHE")
    if chosen:
        return Path(chosen)
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "diffx"
