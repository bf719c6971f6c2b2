"""Showing samples of the average, unless there is something more urgent."""

import logging
from collections.abc import Callable

import torch
from attrs import evolve, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Backbone, NetworkDenoiser
from diffx_core.engine.duties.duty import Tell, due, judged
from diffx_core.engine.events import Sampled
from diffx_core.engine.learner import Learner
from diffx_core.engine.memory import is_shortage
from diffx_core.engine.ranks import Ranks
from diffx_core.errors import ConfigError, DiffxError

log = logging.getLogger(__name__)

DRAWN = "drawn"
"""Why processes that wait for a picture do so no longer."""


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
