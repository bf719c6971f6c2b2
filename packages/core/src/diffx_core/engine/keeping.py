"""Which checkpoints of a run stay: the last few, the best, and the one it went on from.

    RUN/best    JSON: the name of the best checkpoint, and by what value

It names only what is there: the checkpoint is complete before the file changes, and no pruning
takes it.
"""

import json
from collections.abc import Collection
from pathlib import Path

from attrs import frozen

from diffx_core.engine.durable import flush, json_text, read, replace_text
from diffx_core.engine.layout import checkpoints, named, place, remove, step_of
from diffx_core.engine.manifest import DAMAGES, seems_whole
from diffx_core.errors import CheckpointError


@frozen
class Best:
    """The best checkpoint of a run.

    Args:
        path: of its directory.
        step: steps taken.
        value: by which it is the best.
    """

    path: Path
    step: int
    value: float


def mark_best(run: Path, step: int, value: float) -> None:
    """Say that the checkpoint of a step is the best so far.

    Raises:
        CheckpointError: there is none of that step, or it cannot be written down.
    """
    folder = place(run, step)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such checkpoint, it cannot be the best")
    facts = {"checkpoint": folder.name, "step": step, "value": value}
    try:
        replace_text(run / "best", json_text(facts).decode("utf-8"))
    except OSError as error:
        raise CheckpointError(f"cannot write {run / 'best'}: {error.strerror}") from error


def best(run: Path) -> Best | None:
    """The best checkpoint of a run; None if none was said to be.

    Raises:
        CheckpointError: what was said cannot be read.
    """
    path = run / "best"
    try:
        facts = json.loads(read(path))
        step = int(facts["step"])
        return Best(place(run, step), step, float(facts["value"]))
    except FileNotFoundError:
        return None
    except (OverflowError, *DAMAGES) as error:
        raise CheckpointError(f"{path}: does not name a checkpoint: {error}") from error


def prune(run: Path, keep: int, protect: Collection[Path] = ()) -> list[str]:
    """Delete all checkpoints but the last ones, the best one and protected ones.

    Args:
        run: whose checkpoints.
        keep: how many of the last ones stay; damaged ones do not count.
        protect: folders that stay whatever their step.

    Returns:
        What could not be deleted and why, in a line each; nothing is raised because of that.
    """
    try:
        top = best(run)
    except CheckpointError as error:
        return [f"no old checkpoints are deleted until it is removed: {error}"]
    protected = (*protect, *(() if top is None else (top.path,)))
    kept = {named(folder).resolve() for folder in protected}
    complaints, whole = [], 0
    for folder in checkpoints(run):
        if whole < keep:
            whole += seems_whole(folder)
        elif folder.resolve() not in kept and step_of(folder) is not None:
            try:
                remove(folder)
            except OSError as error:
                complaints.append(f"{folder}: cannot be deleted: {error.strerror}")
    return complaints


def drop_later(run: Path, step: int) -> None:
    """Delete the checkpoints after a step: the run goes another way from there.

    Raises:
        CheckpointError: there is none of that step, or a later one cannot be deleted.
    """
    if not place(run, step).is_dir():
        raise CheckpointError(f"{place(run, step)}: there is no such checkpoint")
    top = best(run)
    try:
        if top is not None and top.step > step:
            (run / "best").unlink()
        replace_text(run / "latest", place(run, step).name + "\n")
        for folder in checkpoints(run):
            if (step_of(folder) or 0) > step:
                remove(folder)
        flush(run / "checkpoints")
    except OSError as error:
        raise CheckpointError(f"{run}: cannot delete later checkpoints: {error}") from error
