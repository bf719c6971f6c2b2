"""Whether files can be written where commands write them: here, in the cache, and for a while."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from diffx_cli.doctor.finding import Finding, Status, Visit
from diffx_core.cache import cache_folder
from diffx_core.errors import ConfigError, reason

ROOM = 1e9
"""Bytes that checkpoints of a small run take."""


def places(visit: Visit) -> Iterator[Finding]:
    """Every place takes a file, and has room."""
    yield _found("runs can be written here", Path.cwd(), "go to a folder of yours")
    try:
        kept = cache_folder()
    except ConfigError as error:
        what = "the cache can be written"
        yield Finding(part="environment", what=what, status="fail", detail=error.problems[0])
    else:
        yield _found("the cache can be written", kept, "set DIFFX_CACHE to a folder of yours")
    yield _found("checks can be written", visit.folder, "set TMPDIR to a folder of yours")


def _found(what: str, folder: Path, advice: str) -> Finding:
    there = next((one for one in (folder, *folder.parents) if one.is_dir()), folder)
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"a file")
            file.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        why = f"{folder}: {error.strerror or reason(error)}: {advice}"
        return Finding(part="environment", what=what, status="fail", detail=why)
    status: Status = "ok" if free >= ROOM else "fail"
    detail = f"{free / 1e9:.3g} GB free in {folder}"
    if status == "fail":
        detail += f", {ROOM / 1e9:.0f} GB should be: make room, or {advice}"
    return Finding(part="environment", what=f"{what}, with room", status=status, detail=detail)
