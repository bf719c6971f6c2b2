"""What is done between steps, now and then: judging, showing and saving what was learned."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from attrs import evolve, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Backbone, NetworkDenoiser
from diffx_core.engine.course import Course
from diffx_core.engine.events import Event, Sampled, Saved
from diffx_core.engine.learner import Learner
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.validation import Validation
from diffx_core.errors import CheckpointError, DiffxError
from diffx_core.options import ValidateOptions

if TYPE_CHECKING:
    from diffx_core.engine.saver import Saver

log = logging.getLogger(__name__)

Tell = Callable[[Event], None]


class Duty(Protocol):
    """Something to be done after some steps. It must not change what is learned."""

    def __call__(self, learner: Learner, tell: Tell) -> str:
        """Do it, if it is time; returns why training should end, or nothing."""
        ...


@contextmanager
def judged(learner: Learner) -> Iterator[None]:
    """The network carries the averaged weights and learns nothing."""
    learning = learner.model.training
    with learner.average.applied(), torch.random.fork_rng(devices=devices_of(learner)):
        learner.model.eval()
        try:
            yield
        finally:
            learner.model.train(learning)


def devices_of(learner: Learner) -> list[torch.device]:
    """Where generators are that the network may draw from, besides the CPU's."""
    return [one for one in {p.device for p in learner.model.parameters()} if one.type == "cuda"]


@frozen(eq=False)
class Look:
    """Judges the average on held-out examples, and ends training that no longer gets better.

    Args:
        validation: how.
        options: how often, and how long to wait.
    """

    validation: Validation
    options: ValidateOptions

    def __call__(self, learner: Learner, tell: Tell) -> str:
        """Look, if it is time."""
        course = learner.course
        if not due(course.step, self.options.every):
            return ""
        with judged(learner):
            found = self.validation(course.step)
        tell(found)
        worst = math.inf if course.best is None else course.best - self.options.min_change
        if math.isfinite(found.loss) and found.loss < worst:
            course.best, course.best_step, course.since = found.loss, course.step, 0
        else:
            course.since += 1
        return given_up(course, self.options)


def given_up(course: Course, options: ValidateOptions) -> str:
    """Why training ends that no longer gets better; empty if it still may."""
    if options.patience is None or course.since < options.patience:
        return ""
    best = "" if course.best is None else f" than {course.best:.6g}"
    return f"no better loss of held-out examples{best} in {course.since} looks"


class Leave(BaseException):
    """Whoever draws a preview is wanted elsewhere; nobody who handles errors should handle it."""


@frozen(eq=False)
class Asking:
    """A network that asks before each call whether there is time for it.

    Args:
        backbone: the network.
        stop: why there is none; empty if there is.
    """

    backbone: Backbone
    stop: Callable[[], str]

    def __call__(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """What the network says."""
        if self.stop():
            raise Leave
        return self.backbone(x, noise_label, cond)


@frozen(eq=False)
class Preview:
    """Shows samples of the average; one that cannot be drawn is missed, and nothing else.

    Args:
        denoiser: the model.
        draw: makes images (B, C, H, W) of bytes.
        every: steps between two grids.
        stop: why to leave a grid undone; empty if there is no reason.
    """

    denoiser: NetworkDenoiser
    draw: Callable[[NetworkDenoiser], Tensor]
    every: int
    stop: Callable[[], str]

    def __call__(self, learner: Learner, tell: Tell) -> str:
        """Draw, if it is time."""
        step = learner.course.step
        if due(step, self.every):
            asking = evolve(self.denoiser, backbone=Asking(self.denoiser.backbone, self.stop))
            try:
                with judged(learner), torch.no_grad():
                    images = self.draw(asking)
            except Leave:
                return ""
            except DiffxError as error:
                log.warning("no preview of step %s: %s", step, error)
                return ""
            tell(Sampled(step, images))
        return ""


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

    def __call__(self, learner: Learner, tell: Tell) -> str:
        """Save, if it is time or if this is the best so far; tell of what has been written."""
        course = learner.course
        if due(course.step, self.every) or course.best_step == course.step:
            self._save(learner)
        self._keep_average(learner)
        if self.saver is not None:
            self._tell(self.saver.written(), tell)
        return ""

    def finish(self, learner: Learner, tell: Tell) -> None:
        """Save the last step, and wait until it is written.

        Raises:
            CheckpointError: it cannot be written.
        """
        self._save(learner)
        self._keep_average(learner, last=True)
        if self._own is not None:
            self._own.finish()
            self._tell(self._own.written(), tell)
        self.ranks.wait()

    @property
    def _own(self) -> "Saver | None":
        """What this process saves with."""
        return self.saver if self.ranks.is_first else None

    def _keep_average(self, learner: Learner, *, last: bool = False) -> None:
        saver, updates = self._own, learner.course.updates
        run = None if saver is None else saver.run
        try:
            learner.average.snapshot(run, updates, last=last, whole=self.ranks.whole)
        except CheckpointError as error:  # the next one may find room; the weights are not lost
            assert saver is not None
            saver.note(str(error))

    def _tell(self, written: Iterable[tuple[int, Path]], tell: Tell) -> None:
        for step, path in written:
            tell(Saved(step, path))

    def _save(self, learner: Learner) -> None:
        course = learner.course
        saver = self._own
        wanted = saver is not None and course.step not in {saver.step, self.began}
        if not self.ranks.told("save" if wanted else ""):
            return
        snapshot = learner.snapshot(self.record).mapped(self.ranks.whole)
        if saver is not None:
            best = course.best if course.best_step == course.step else None
            saver.save(snapshot, best=best)


def due(step: int, every: int | None) -> bool:
    """Whether it is time."""
    return every is not None and step % every == 0
