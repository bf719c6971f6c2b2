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
from diffx_core.engine.memory import is_shortage
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.validation import Validation
from diffx_core.errors import ConfigError, DiffxError
from diffx_core.options import ValidateOptions

if TYPE_CHECKING:
    from diffx_core.engine.saver import Saver

log = logging.getLogger(__name__)

DRAWN = "drawn"
"""Why processes that wait for a picture do so no longer."""
NO_BETTER = "no better loss of held-out examples"
"""How the reason begins for which a run ends that has learned what it can."""

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
        course.held_out = found.loss if math.isfinite(found.loss) else None
        if course.held_out is not None and found.loss < worst:
            course.best, course.best_step, course.since = found.loss, course.step, 0
        else:
            course.since += 1
        return given_up(course, self.options)


def given_up(course: Course, options: ValidateOptions) -> str:
    """Why training ends that no longer gets better; empty if it still may."""
    if options.patience is None or course.since < options.patience:
        return ""
    best = "" if course.best is None else f" than {course.best:.6g}"
    return f"{NO_BETTER}{best} in {course.since} looks"


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

    Processes that do not draw agree with those that do before each call of the network, so that a
    picture is left undone whoever of them is asked to end.

    Args:
        denoiser: the model.
        draw: makes images (B, C, H, W) of bytes.
        every: steps between two grids.
        stop: why this process would leave a grid undone; empty if there is no reason.
        ranks: who draws, and who waits.
    """

    denoiser: NetworkDenoiser
    draw: Callable[[NetworkDenoiser], Tensor]
    every: int
    stop: Callable[[], str]
    ranks: Ranks

    def __call__(self, learner: Learner, tell: Tell) -> str:
        """Draw, if it is time."""
        if due(learner.course.step, self.every):
            if self.ranks.is_first or self.ranks.is_divided:
                self._draw(learner, tell)
            else:
                while not self._leave():
                    pass
        return ""

    def _leave(self) -> str:
        return self.ranks.agree(self.stop())

    def _draw(self, learner: Learner, tell: Tell) -> None:
        step = learner.course.step
        asking = evolve(self.denoiser, backbone=Asking(self.denoiser.backbone, self._leave))
        try:
            with judged(learner), torch.no_grad():
                images = self.draw(asking)
        except Leave:
            return
        except Exception as error:
            said = self._why_missed(error)
            if not said:
                raise
            log.warning("no preview of step %s: %s", step, said)
        else:
            tell(Sampled(step, images))
        self.ranks.agree(DRAWN)

    def _why_missed(self, error: Exception) -> str:
        """Why a picture is missed; empty for an error that ends the run.

        Raises:
            ConfigError: a process has no memory for its part.
        """
        if not is_shortage(error):
            return str(error) if isinstance(error, DiffxError) else ""
        said = "it does not fit into memory: draw fewer images with --preview.n"
        if self.ranks.is_divided:  # the others may be waiting for this one's share
            raise ConfigError(f"no preview: {said}") from error
        return said


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


def due(step: int, every: int | None) -> bool:
    """Whether it is time."""
    return every is not None and step % every == 0
