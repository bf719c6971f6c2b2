"""How images come out of the noise, as a moving picture."""

from pathlib import Path

import torch
from attrs import define, field
from PIL import Image

from diffx_cli.pictures import grid, picture, to_bytes
from diffx_core.dataset import DataSpec
from diffx_core.pipeline import Drawing
from diffx_core.reached import Reached

MOST_FRAMES = 100
MOST_IMAGES = 64
"""Of those that are drawn at once."""
FRAME, LAST = 80, 2000
"""Milliseconds that a frame is shown, and that the last one is."""


def is_picture(spec: DataSpec) -> bool:
    """Whether an example is an image that can be shown."""
    return spec.is_image and spec.shape[0] in (1, 3)


@define(eq=False)
class Film:
    """Collects the states of the first samples, at the contrast of the data.

    Args:
        drawing: what is watched.
        spec: the facts about the data.
        columns: of each frame.
    """

    drawing: Drawing
    spec: DataSpec
    columns: int
    _frames: list[Image.Image] = field(factory=list, init=False)
    _ended: bool = field(default=False, init=False)

    def __call__(self, reached: Reached) -> None:
        """Take a frame, unless this is another batch or between two frames."""
        steps = self.drawing.plan.steps
        every = -(-steps // MOST_FRAMES)
        if not self._ended and (reached.step % every == 0 or reached.step == steps):
            shown = reached.x[:MOST_IMAGES].cpu().float() * self._contrast(reached.t)
            self._frames.append(picture(grid(to_bytes(shown, self.spec), self.columns)))
        self._ended |= reached.step == steps

    def _contrast(self, t: float) -> float:
        """Root mean square of the data, by that of x at a time."""
        scheduler, size = self.drawing.denoiser.scheduler, self.spec.sigma_data
        time = torch.tensor(t, dtype=torch.float64)
        return float(size / torch.hypot(scheduler.alpha(time) * size, scheduler.sigma(time)))

    def write(self, file: Path) -> None:
        """Write the frames that were taken."""
        first, *others = self._frames
        durations = [FRAME] * len(others) + [LAST]
        first.save(file, save_all=True, append_images=others, duration=durations, loop=0)
