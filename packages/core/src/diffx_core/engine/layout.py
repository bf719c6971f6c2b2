"""Where the checkpoints of a run are, and by what names others may not take them for one.

    RUN/latest                              the name of the one that was saved last
    RUN/checkpoints/step-00001000/          complete
    RUN/checkpoints/.partial-NAME-PID/      being written by process PID
    RUN/checkpoints/.removed-NAME-PID/      being deleted
    RUN/checkpoints/.replaced-NAME-PID/     complete, while another takes its name

A hidden one of a process that is no more is cleared away when the run starts again.
"""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

FOLDER = "checkpoints"
POINTERS = ("latest", "best")
"""Small files in the folder of a run that name a checkpoint."""

_NAME = re.compile(r"step-([0-9]{8,19})")
_HIDDEN = re.compile(r"\.(partial|removed|replaced)-(step-[0-9]{8,19})-([0-9]+)")

Hidden = Literal["partial", "removed", "replaced"]


def place(run: Path, step: int) -> Path:
    """The folder of the checkpoint of a step."""
    return run / FOLDER / f"step-{step:08d}"


def step_of(folder: Path) -> int | None:
    """The step that a folder is named after; None if it is not a checkpoint by its name."""
    match = _NAME.fullmatch(folder.name)
    return int(match[1]) if match else None


def named(folder: Path) -> Path:
    """A checkpoint under the name that it has unless it is hidden."""
    match = _HIDDEN.fullmatch(folder.name)
    return folder.with_name(match[2]) if match else folder


def hidden(folder: Path, kind: Hidden) -> Path:
    """The name that a checkpoint has while this process writes, deletes or replaces it."""
    return folder.with_name(f".{kind}-{folder.name}-{os.getpid()}")


def checkpoints(run: Path) -> list[Path]:
    """The folders of all checkpoints of a run, the newest first; damaged ones are among them."""
    try:
        names = {folder.name for folder in (run / FOLDER).iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return []
    matches = map(_HIDDEN.fullmatch, names)
    names |= {match[2] for match in matches if match and match[1] == "replaced"}
    found = [run / FOLDER / name for name in names if _NAME.fullmatch(name)]
    return sorted(map(standing, found), key=_order, reverse=True)


def standing(folder: Path) -> Path:
    """A checkpoint where it is: a process that was killed may have left it aside."""
    if not folder.exists():
        for aside in sorted(folder.parent.glob(f".replaced-{folder.name}-*")):
            if _HIDDEN.fullmatch(aside.name):
                return aside
    return folder


def remove(folder: Path) -> None:
    """Delete a checkpoint; nobody ever sees half of it under its name.

    Raises:
        OSError: it cannot be deleted.
    """
    doomed = hidden(folder, "removed")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def tidy(run: Path) -> None:
    """Clear away what processes left that were killed; to be called where a run starts."""
    for path in sorted((run / FOLDER).glob(".*")):
        match = _HIDDEN.fullmatch(path.name)
        if match is None or _works(int(match[3])):
            continue
        final = path.with_name(match[2])
        if match[1] == "replaced" and not final.exists():
            with suppress(OSError):  # it is found under either name
                path.rename(final)
        else:
            shutil.rmtree(path, ignore_errors=True)
    for name in POINTERS:
        for path in run.glob(f".{name}-*"):
            pid = path.name.removeprefix(f".{name}-")
            if pid.isdecimal() and not _works(int(pid)):
                with suppress(OSError):
                    path.unlink()


def _order(folder: Path) -> int:
    step = step_of(named(folder))
    assert step is not None
    return step


def _works(pid: int) -> bool:
    """Whether another process has this number; in a new container it is often our own."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
