"""One save under way, in a thread: averages that are written down for good, and a checkpoint.

The averages come first. Who goes on from a checkpoint never takes the steps before it again, so
what is to be kept of them has to be on the disk by then.
"""

from pathlib import Path
from threading import Thread

from attrs import field, frozen

from diffx_core.engine.averaging.snapshots import Kept, write_snapshots
from diffx_core.engine.keeping import mark_best, prune
from diffx_core.engine.saving import Snapshot, save_checkpoint


@frozen(eq=False, kw_only=True)
class Task:
    """What is written together.

    Args:
        snapshot: the checkpoint, if there is one; nobody else touches its tensors.
        averages: what is written down besides; nobody touches these, either.
        best: the value by which the checkpoint is the best, if it is.
        keep: how many of the last checkpoints stay; all if None.
        protect: what stays besides.
    """

    snapshot: Snapshot | None = None
    averages: tuple[Kept, ...] = field(default=())
    best: float | None = None
    keep: int | None = None
    protect: Path | None = None


class Writing(Thread):
    """One save under way.

    Args:
        run: folder of the run.
        task: what is written.
    """

    def __init__(self, run: Path, task: Task) -> None:
        super().__init__(name="diffx-save")
        self.folder, self.task = run, task
        self.path: Path | None = None
        self.lost: BaseException | None = None
        self.error: BaseException | None = None
        self.complaints: list[str] = []

    def run(self) -> None:
        """Write the averages and then the checkpoint, which is tried whatever became of them."""
        try:
            write_snapshots(self.folder, self.task.averages)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that trains
            self.lost = error
        try:
            self._save()
        except BaseException as error:  # noqa: BLE001 - the same
            self.error = error

    def _save(self) -> None:
        """Write the checkpoint, then delete old ones."""
        task = self.task
        if task.snapshot is None:
            return
        self.path = save_checkpoint(self.folder, task.snapshot)
        if task.best is not None:
            mark_best(self.folder, task.snapshot.step, task.best)
        if task.keep is not None:
            protect = [one for one in (self.path, task.protect) if one is not None]
            self.complaints += prune(self.folder, task.keep, protect)
