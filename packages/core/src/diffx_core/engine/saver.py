"""Saving beside training: a step waits for a copy of the tensors, a thread writes it.

What fails because of the disk is said, and each next save tries again, until one succeeds, which is
said, too; the checkpoints that were there still are.
"""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from attrs import define, field

from diffx_core.engine.copies import Copies
from diffx_core.engine.keeping import best, mark_best, prune
from diffx_core.engine.layout import tidy
from diffx_core.engine.saving import Snapshot, save_checkpoint
from diffx_core.errors import CheckpointError
from diffx_core.options.checks import whole


def warn(message: str) -> None:
    """What is done with a note if nobody asks for it."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)


class Writing(Thread):
    """One save under way.

    Args:
        run: folder of the run.
        snapshot: what is written; nobody else touches its tensors.
        best: the value by which it is the best, if it is.
        keep: how many of the last checkpoints stay; all if None.
        protect: what stays besides.
    """

    def __init__(
        self,
        run: Path,
        snapshot: Snapshot,
        best: float | None,
        keep: int | None,
        protect: Path | None,
    ) -> None:
        super().__init__(name="diffx-save")
        self.folder, self.snapshot, self.best = run, snapshot, best
        self.keep, self.protect = keep, protect
        self.path: Path | None = None
        self.error: BaseException | None = None
        self.complaints: list[str] = []

    def run(self) -> None:
        """Write it, then delete old ones."""
        try:
            self.path = save_checkpoint(self.folder, self.snapshot)
            if self.best is not None:
                mark_best(self.folder, self.snapshot.step, self.best)
            if self.keep is not None:
                protect = [one for one in (self.path, self.protect) if one is not None]
                self.complaints += prune(self.folder, self.keep, protect)
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that trains
            self.error = error


@define(eq=False)
class Saver:
    """Saves the checkpoints of a run, one after the other, while it goes on.

    All methods, and whom they tell, belong to the thread that trains.

    Args:
        run: folder of the run; what killed processes left there is cleared away.
        keep: how many of the last checkpoints stay; all if None. The best one stays, too.
        protect: a checkpoint that stays: the one that the run went on from.
        note: is told what went wrong, in a line.
    """

    run: Path
    keep: int | None = field(default=3, kw_only=True)
    protect: Path | None = field(default=None, kw_only=True)
    note: Callable[[str], None] = field(default=warn, kw_only=True)
    _step: int | None = field(default=None, init=False)
    _best: float | None = field(default=None, init=False)
    _copies: Copies = field(factory=Copies, init=False)
    _writing: Writing | None = field(default=None, init=False)
    _written: list[tuple[int, Path]] = field(factory=list, init=False)
    _failure: CheckpointError | None = field(default=None, init=False)
    _failed: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.keep is not None:
            whole("keep", self.keep)
        tidy(self.run)
        self._best = best_value(self.run)

    @property
    def step(self) -> int | None:
        """The step of the last save, unless it is known to have failed."""
        return self._step

    @property
    def best(self) -> float | None:
        """The value of the best checkpoint that is there, or that is being saved, if there is one.

        Where it cannot be read, no value is better.
        """
        return self._best

    def save(self, snapshot: Snapshot, *, best: float | None = None) -> None:
        """Copy a snapshot and have it written; waits for the one before.

        Args:
            snapshot: the run as it is now.
            best: makes it the best checkpoint of the run, by this value.
        """
        self._settle()
        copied = self._copies.of(snapshot)
        self._writing = Writing(self.run, copied, best, self.keep, self.protect)
        self._writing.start()
        self._step, self._failure = snapshot.step, None
        if best is not None:
            self._best = best

    def written(self) -> list[tuple[int, Path]]:
        """The steps and folders that have become complete since this was asked; never waits."""
        if self._writing is not None and not self._writing.is_alive():
            self._settle()
        written, self._written = self._written, []
        return written

    def finish(self) -> None:
        """Wait for the last save.

        Raises:
            CheckpointError: it has failed.
        """
        self._settle(last=True)
        if self._failure is not None:
            raise self._failure

    def _settle(self, *, last: bool = False) -> None:
        """Wait for the save under way, and tell of it."""
        if self._writing is None:
            return
        self._writing.join()
        writing, self._writing = self._writing, None
        for line in writing.complaints:
            self.note(line)
        if writing.path is not None:
            self._written.append((writing.snapshot.step, writing.path))
        if writing.error is None:
            if self._failed:
                self.note(f"{writing.path}: saved again, after {self._failed} that failed")
            self._failed = 0
            return
        self._step, self._best = None, best_value(self.run)
        # A full disk may have room later; what is wrong with the snapshot itself will stay so.
        if not isinstance(writing.error, CheckpointError) or not isinstance(
            writing.error.__cause__, OSError
        ):
            raise writing.error
        self._failure = writing.error
        self._failed += 1
        if self._failed == 1 and not last:
            self.note(f"{writing.error}; training goes on, and each next save tries again")


def best_value(run: Path) -> float | None:
    """The value of the best checkpoint that is there, if there is one; -inf if nobody can tell."""
    try:
        found = best(run)
    except CheckpointError:
        return -math.inf
    return None if found is None or not found.path.is_dir() else found.value
