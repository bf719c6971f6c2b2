"""Judging the average on held-out examples, and ending training that no longer gets better."""

import math

from attrs import frozen

from diffx_core.engine.course import Course
from diffx_core.engine.duties.duty import Tell, due, judged
from diffx_core.engine.learner import Learner
from diffx_core.engine.validation import Validation
from diffx_core.options import ValidateOptions

NO_BETTER = "no better loss of held-out examples"
"""How the reason begins for which a run ends that has learned what it can."""


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
