"""How far training has come, and when it cannot go further."""

import logging
import math

from attrs import define

from diffx_core.engine.update import Taken
from diffx_core.errors import NonFiniteError

log = logging.getLogger(__name__)

RETRIES = 3
"""Steps in a row that may be lost to numbers that are not finite."""
SCALINGS = 40
"""The same where the scale of the loss is still being found: it is halved each time."""

MENTIONED = 8
"""Examples of a lost step that are named."""


@define
class Course:
    """How far training has come.

    Args:
        step: steps taken: batches that have been seen.
        updates: steps after which the weights had moved.
        lost: steps in a row after which they had not.
        best: the least loss of held-out examples; None before the first look.
        best_step: when that was.
        since: looks since then.
        held_out: the loss of held-out examples at this very step, if somebody looked.
    """

    step: int = 0
    updates: int = 0
    lost: int = 0
    best: float | None = None
    best_step: int | None = None
    since: int = 0
    held_out: float | None = None

    def took(self, taken: Taken, *, scaling: bool, speaks: bool = True) -> bool:
        """Count a step; returns whether the weights have moved.

        Args:
            taken: what it did.
            scaling: whether the loss is scaled, by a factor that a step may show to be too large.
            speaks: whether to warn of a step that is lost.

        Raises:
            NonFiniteError: they have not for too long.
        """
        self.step, self.held_out = self.step + 1, None
        if taken.is_finite:
            self.updates, self.lost = self.updates + 1, 0
            return True
        self.lost += 1
        more = " ..." if len(taken.suspects) > MENTIONED else ""
        some = [*taken.suspects[:MENTIONED]]
        seen = f", examples {some}{more}" if some else ""
        what = f"step {self.step}: loss {taken.loss}, gradient norm {taken.norm}{seen}"
        scaling = scaling and math.isfinite(taken.loss)
        if self.lost >= (SCALINGS if scaling else RETRIES):
            raise NonFiniteError(
                f"{what}; the weights have not moved for {self.lost} steps: a lower learning rate "
                "may help"
            )
        if not scaling and speaks:
            log.warning("%s: the weights do not move in this step", what)
        return False
