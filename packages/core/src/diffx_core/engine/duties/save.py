"""Saving checkpoints: now and then, the best one, and the last."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from diffx_core.engine.course import Course
from diffx_core.engine.duties.duty import Tell, due
from diffx_core.engine.events import Saved
from diffx_core.engine.learner import Learner
from diffx_core.engine.ranks import Ranks

if TYPE_CHECKING:
    from diffx_core.engine.saver import Saver


@frozen(eq=False)
class Save:
    """Saves checkpoints: now and then, the best one, and the last.

    Args:
        saver: writes them; nothing is saved without one.
        every: steps between two.
        record: how the run was made.
        ranks: of which the first saves.
        began: the step that the run goes on from, which is saved already.
    """

    saver: "Saver | None"
    every: int
    record: Mapping[str, Any]
    ranks: Ranks
    began: int | None = None

    def begin(self, learner: Learner) -> None:
        """Leave behind what was written of steps that are taken again.

        Raises:
            CheckpointError: it cannot be removed.
        """
        if self.saver is not None and self.ranks.is_first:
            learner.average.begin(self.saver.run)

    def __call__(self, learner: Learner, tell: Tell) -> str:
        """Save, if it is time or if this is the best so far; tell of what has been written."""
        self._save(learner, is_due=due(learner.course.step, self.every))
        if self.saver is not None:
            self._tell(self.saver.written(), tell)
        return ""

    def finish(self, learner: Learner, tell: Tell) -> None:
        """Save the last step, and wait until it is written.

        Raises:
            CheckpointError: it cannot be written.
        """
        self._save(learner, is_due=True, last=True)
        if self._own is not None:
            self._own.finish()
            self._tell(self._own.written(), tell)
        self.ranks.wait()

    @property
    def _own(self) -> "Saver | None":
        """What this process saves with."""
        return self.saver if self.ranks.is_first else None

    def _tell(self, written: Iterable[tuple[int, Path]], tell: Tell) -> None:
        for step, path in written:
            tell(Saved(step, path))

    def _save(self, learner: Learner, *, is_due: bool, last: bool = False) -> None:
        """Save what is to be kept of a step, and a checkpoint if the first process wants one."""
        course, saver, whole = learner.course, self._own, self.ranks.whole
        averages = [one.mapped(whole) for one in learner.average.due(course.updates, last=last)]
        is_asked = is_due or course.held_out is not None  # the same for all processes
        wants = "save" if is_asked and self._wants(course, is_due=is_due) else ""
        if is_asked and self.ranks.told(wants):
            snapshot = learner.snapshot(self.record).mapped(whole)
            if saver is not None:
                saver.save(snapshot, best=self._best(course), averages=averages)
        elif averages and saver is not None:
            saver.save_averages(averages)

    def _wants(self, course: Course, *, is_due: bool) -> bool:
        """Whether this process wants a checkpoint of this step, which is not there yet."""
        saver = self._own
        if saver is None or course.step in {saver.step, self.began}:
            return False
        return is_due or self._best(course) is not None

    def _best(self, course: Course) -> float | None:
        """The loss by which this step becomes the best checkpoint; None if it does not.

        Where the best step itself could not be saved, the best of those that can takes its place.
        """
        if course.best_step == course.step:
            return course.best
        if self.saver is None or course.held_out is None or course.best is None:
            return None
        there = math.inf if self.saver.best is None else self.saver.best
        is_lost = course.best < there
        return course.held_out if is_lost and course.held_out < there else None
