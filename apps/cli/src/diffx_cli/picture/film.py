"""How samples come out of the noise: a moving picture, and some of its states side by side."""

from collections.abc import Iterator
from pathlib import Path

import torch
from attrs import define, field
from PIL import Image
from torch import Tensor

from diffx_cli.picture.pictures import GAP, grid, picture, to_bytes
from diffx_core.dataset import DataSpec
from diffx_core.pipeline import Drawing
from diffx_core.reached import Reached
from diffx_core.scheduler import Scheduler

MOVING, STILL = "trajectory.gif", "trajectory.png"

MOST_FRAMES = 100
"""Of the moving picture, unless somebody says how many states are between two."""
MOST_IMAGES = 64
MOST_PIXELS = 2**19
"""Of all images in a frame, before they are enlarged."""
MOST_ROWS, MOST_STATES = 8, 12
"""Images and states of the strip."""
FRAME, LAST = 80, 2000
"""Milliseconds that a frame is shown, and that the last one is."""


def is_picture(spec: DataSpec) -> bool:
    """Whether an example is an image that can be shown."""
    return spec.is_image and spec.shape[0] in (1, 3)


def is_watchable(spec: DataSpec) -> bool:
    """Whether it can be shown how examples come about: images, and points of the plane."""
    return is_picture(spec) or spec.shape == (2,)


def seen(drawing: Drawing, spec: DataSpec, reached: Reached) -> tuple[Tensor, ...]:
    """A state x (n, *shape), and beside it what the model last took its data for.

    The state has the contrast of the data. A sampler that takes each sample at times of its own has
    no estimate that belongs to a state: with such a one, x is alone.
    """
    scheduler = drawing.denoiser.scheduler
    x = reached.x.cpu().float() * _contrast(scheduler, spec.sigma_data, reached.t)
    if drawing.sampler.own_times:
        return (x,)
    data, anchor = reached.estimate.x0, scheduler.anchor(drawing.cond)
    return x, (data if anchor is None else data + anchor.to(data)).cpu().float()


def _contrast(scheduler: Scheduler, size: float, t: float) -> float:
    """Root mean square of the data, by that of x at a time."""
    time = torch.tensor(t, dtype=torch.float64)
    return float(size / torch.hypot(scheduler.alpha(time) * size, scheduler.sigma(time)))


@define(eq=False)
class Film:
    """Collects the states of samples x, and beside each what the model last took its data for.

    Args:
        drawing: what is watched.
        spec: the facts about the data.
        columns: of a grid.
        every: how many steps are between two states; None for as many as there is room for.
    """

    drawing: Drawing
    spec: DataSpec
    columns: int
    every: int | None = None
    _frames: list[tuple[Tensor, ...]] = field(factory=list, init=False)

    def __call__(self, reached: Reached) -> None:
        """Take a frame, unless this is between two."""
        steps = self.drawing.plan.steps
        every = self.every or -(-steps // MOST_FRAMES)
        if reached.step % every == 0 or reached.step == steps:
            self._frames.append(self._taken(seen(self.drawing, self.spec, reached)))

    def write(self, folder: Path) -> None:
        """Write the moving picture and the strip of what was taken."""
        first, *others = self._pictures()
        durations = [FRAME] * len(others) + [LAST]
        first.save(folder / MOVING, save_all=True, append_images=others, duration=durations, loop=0)
        self._strip().save(folder / STILL)

    def _taken(self, shown: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What is kept of a state."""
        area = self.spec.shape[1] * self.spec.shape[2]
        rows = slice(min(MOST_IMAGES, max(1, MOST_PIXELS // area)))
        return tuple(to_bytes(one[rows], self.spec) for one in shown)

    def _pictures(self) -> Iterator[Image.Image]:
        """A frame for each state."""
        return map(self._frame, self._frames)

    def _frame(self, shown: tuple[Tensor, ...]) -> Image.Image:
        """Grids of x, and of the data behind it, side by side."""
        sheets = [grid(one, self.columns) for one in shown]
        gap = sheets[0].new_full((*sheets[0].shape[:2], 2 * GAP), 255)
        return picture(torch.cat([sheets[0], *(x for one in sheets[1:] for x in (gap, one))], 2))

    def _strip(self) -> Image.Image:
        """A row of states for each image, and below it the data behind each of them."""
        states = self._some()
        count = min(MOST_ROWS, len(states[0][0]))
        cells = [
            shown[kind][i]
            for i in range(count)
            for kind in range(len(states[0]))
            for shown in states
        ]
        return picture(grid(torch.stack(cells), len(states)))

    def _some(self) -> list[tuple[Tensor, ...]]:
        """As many states as the strip has room for, at equal distances."""
        places = torch.linspace(0, len(self._frames) - 1, min(MOST_STATES, len(self._frames)))
        return [self._frames[i] for i in places.round().long().tolist()]
