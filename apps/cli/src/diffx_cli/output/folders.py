"""Where results go: numbered folders that no two processes share, and nobody else's files."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from diffx_cli.output.claims import PARTIAL, in_use, is_claimed
from diffx_core.errors import CheckpointError, ConfigError

RUNS = Path("runs")
"""Where runs are, from the folder in which diffx is started."""

MARKERS = (
    *("env.json", "sample.json", "edit.json", "inpaint.json", "interpolate.json"),
    *("encode.json", "decode.json", "likelihood.json", "latent-plot.json", "export.json"),
    *("evaluation.json", "protocol.json"),
)
"""What diffx leaves in a folder of its own: in a run the first, in others what made the results."""

AUTO = "auto"
"""Instead of a run: the one that the same command made."""

_NUMBERED = re.compile(r"([0-9]+)-")


def check_free(out: Path | None, *, overwrite: bool | None, ours: bool = False) -> None:
    """Refuse an output folder that holds something already.

    Args:
        out: the folder; None for a numbered one.
        overwrite: whether what diffx wrote there may be replaced; None where nobody can say so.
        ours: whether we are the ones who work in it.

    Raises:
        ConfigError: it does, and nobody said that it may be overwritten, or diffx did not make it;
            or somebody is at work there.
    """
    if out is None:
        return
    try:
        held = {one.name for one in out.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise ConfigError(f"--out {out}: is a file, or below one") from error
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be read: {error.strerror}") from error
    if PARTIAL in held and not ours and is_claimed(out):
        raise in_use(out)
    if not held - {PARTIAL}:
        return
    if overwrite is None:
        raise ConfigError(f"--out {out}: is not empty; name another folder")
    if not overwrite:
        raise ConfigError(f"--out {out}: is not empty; --overwrite replaces what diffx wrote there")
    if not any((out / marker).is_file() for marker in MARKERS):
        raise ConfigError(f"--out {out}: was not made by diffx, so --overwrite does not touch it")


def claim(out: Path | None, parent: Path, label: str, *, width: int = 5) -> Path:
    """Create the folder for results: `out`, or the next number in `parent`.

    Args:
        out: the folder that the user named, if any.
        parent: of the numbered folders.
        label: what follows the number.
        width: digits of the number.

    Raises:
        ConfigError: it cannot be created.
    """
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            return out
        return _next(parent, label, width)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{out or parent}: cannot be created: {reason}") from error


def clear(folder: Path, names: Collection[str]) -> None:
    """Remove earlier results by name; what diffx did not write is not touched."""
    for name in sorted(names, key=lambda one: one in MARKERS):  # last, what says that it is ours
        old = folder / name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)


def run_folder(path: Path) -> Path:
    """The run that a path names, itself or by one of its checkpoints."""
    if path.parent.name == "checkpoints":
        return path.parent.parent
    full = path.absolute()  # it may be named from where the checkpoints are
    return full.parent.parent if full.parent.name == "checkpoints" else path


def with_results(run: Path, results: Path) -> Path:
    """A run, also if it has moved together with results in RUN/COMMAND/NUMBER.

    Args:
        run: where it was.
        results: their folder, where it is now.
    """
    above = results.resolve().parents
    if run.exists() or len(above) < 2 or not (above[1] / "latest").exists():
        return run
    return above[1]


def is_run(out: Path | None) -> bool:
    """Whether a folder holds a run, whole or not."""
    try:
        return out is not None and all((out / one).is_file() for one in ("env.json", "config.yaml"))
    except OSError:  # a name that no folder can have
        return False


def newest_run(parent: Path = RUNS) -> Path:
    """The run under `parent` that was saved last.

    Raises:
        CheckpointError: there is none.
    """
    saved = [pointer.parent for pointer in parent.glob("*/latest")]
    if not saved:
        raise CheckpointError(
            f"there is no finished run in {parent.resolve()}; make one: diffx train"
        )
    return max(saved, key=lambda run: ((run / "latest").stat().st_mtime_ns, run.name))


def _next(parent: Path, label: str, width: int) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    number = 1 + max(map(_number, _numbered(parent)), default=-1)
    while True:
        folder = parent / f"{number:0{width}d}-{label}"
        # The number is what has to be free: another process may have taken it under another label.
        taken = any(_number(one) == number for one in _numbered(parent))
        if not taken:
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                pass
            else:
                return folder
        number += 1


def _numbered(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [one for one in parent.iterdir() if _NUMBERED.match(one.name) and one.is_dir()]


def _number(folder: Path) -> int:
    match = _NUMBERED.match(folder.name)
    assert match is not None
    return int(match[1])
