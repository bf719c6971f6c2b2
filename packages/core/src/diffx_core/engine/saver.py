"""Saving beside training: a step waits for a copy of the tensors, a thread writes it.

What fails because of the disk is said, and each next save tries again, until one succeeds, which is
said, too; the checkpoints that were there still are.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define, evolve, field

from diffx_core.engine.averaging.snapshots import Kept
from diffx_core.engine.copies import Copies
from diffx_core.engine.keeping import best
from diffx_core.engine.layout import tidy
from diffx_core.engine.memory import is_shortage
from diffx_core.engine.saving import Snapshot
from diffx_core.engine.writing import Task, Writing
from diffx_core.errors import CheckpointError
from diffx_core.options.checks import whole


def warn(message: str) -> None:
    """What is done with a note if nobody asks for it."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)


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

    def save(
        self,
        snapshot: Snapshot,
        *,
        best: float | None = None,
        averages: Sequence[Kept] = (),
    ) -> None:
        """Copy a snapshot and have it written; waits for the one before.

        Args:
            snapshot: the run as it is now.
            best: makes it the best checkpoint of the run, by this value.
            averages: what is to be on the disk before it.

        Raises:
            CheckpointError: there is no memory for a copy.
        """
        self._settle()
        copied = self._copied(snapshot)
        task = Task(snapshot=copied, best=best, keep=self.keep, protect=self.protect)
        self._start(task, averages)
        self._step, self._failure = snapshot.step, None
        if best is not None:
            self._best = best

    def _copied(self, snapshot: Snapshot) -> Snapshot:
        try:
            return self._copies.of(snapshot)
        except Exception as error:
            if not is_shortage(error):
                raise
            raise CheckpointError(
                f"step {snapshot.step} cannot be saved: there is no memory for a copy of it"
            ) from error

    def save_averages(self, averages: Sequence[Kept]) -> None:
        """Copy averages and have them written; waits for the save before."""
        self._settle()
        self._start(Task(), averages)

    def _start(self, task: Task, averages: Sequence[Kept]) -> None:
        # These are rare, so their memory is given back each time.
        copied = Copies().of_parts({str(i): one.state for i, one in enumerate(averages)})
        kept = tuple(evolve(one, state=copied[str(i)]) for i, one in enumerate(averages))
        self._writing = Writing(self.run, evolve(task, averages=kept))
        self._writing.start()

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
        if writing.path is not None and writing.task.snapshot is not None:
            self._written.append((writing.task.snapshot.step, writing.path))
        if writing.error is not None:
            self._step, self._best = None, best_value(self.run)
        self._failure = _of_the_disk(writing.error) or self._failure
        self._tell_of(writing, _of_the_disk(writing.lost), last=last)

    def _tell_of(self, writing: Writing, lost: CheckpointError | None, *, last: bool) -> None:
        """Say what has failed, unless the save before has failed, too."""
        if writing.error is None and lost is None:
            if self._failed and writing.path is not None:
                self.note(f"{writing.path}: saved again, after {self._failed} that failed")
                self._failed = 0
            return
        self._failed += 1
        if last and lost is not None:
            self.note(str(lost))
        elif self._failed == 1 and not last:
            said = writing.error or lost
            self.note(f"{said}; training goes on, and each next save tries again")


def _of_the_disk(error: BaseException | None) -> CheckpointError | None:
    """What a disk refused, which may have room later; what is wrong otherwise will stay so.

    Raises:
        BaseException: it is something else.
    """
    if error is None:
        return None
    if isinstance(error, CheckpointError) and isinstance(error.__cause__, OSError):
        return error
    raise error


def best_value(run: Path) -> float | None:
    """The value of the best checkpoint that is there, if there is one; -inf if nobody can tell."""
    try:
        found = best(run)
    except CheckpointError:
        return -math.inf
    return None if found is None or not found.path.is_dir() else found.value
