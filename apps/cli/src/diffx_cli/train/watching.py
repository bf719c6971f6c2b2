"""Pictures of a run while it trains: its samples, and the curve of its loss."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from diffx_cli.line.request import Request
from diffx_cli.picture.pictures import grid, picture
from diffx_cli.train.loggers import loggers_for
from diffx_core.engine.events import Event, Finished, Observer, Sampled, Saved, Started
from diffx_core.engine.observers import MetricsFile, Progress, read_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS, CURVE, SAMPLES = "metrics.jsonl", "loss.png", "samples"
"""What observers write into the folder of a run."""

COST = 60.0
"""Seconds that a run trains before its first picture, which takes the longest to draw."""
WINDOWS = 100
"""Points of the smoothed curve: each is the mean of as many lines, one after the other."""


def observers_for(
    request: Request, folder: Path, config: Mapping[str, Any], every: int
) -> list[Observer]:
    """All that are told about a run of the command line.

    Args:
        request: names the loggers.
        folder: of the run.
        config: of the run, in JSON types.
        every: steps between two lines of figures.
    """
    metrics = folder / METRICS
    return [
        MetricsFile(metrics, every),
        SampleGrids(folder / SAMPLES),
        LossCurve(metrics, folder / CURVE),
        *loggers_for(request.listed.get("logger", ()), folder, config, every),
        Progress(),
    ]


@frozen
class SampleGrids:
    """Writes the samples of each preview as one picture, `step-00001000.png`.

    Those of steps that are taken again, perhaps another way, are removed first.

    Args:
        folder: for the pictures; it is made when there is one.
    """

    folder: Path

    @property
    def label(self) -> str:
        """The name of the folder."""
        return self.folder.name

    def __call__(self, event: Event) -> None:
        """Write a picture, if samples have been drawn."""
        if isinstance(event, Started):
            for path in self.folder.glob("step-*.png"):
                number = path.stem.removeprefix("step-")
                if number.isdecimal() and int(number) > event.step:
                    path.unlink()
        if isinstance(event, Sampled):
            sheet = picture(grid(event.images, math.ceil(math.sqrt(len(event.images)))))
            self.folder.mkdir(parents=True, exist_ok=True)
            _replaced(self.folder / f"step-{event.step:08d}.png", sheet.save)


@define
class LossCurve:
    """Draws the losses of a run at its end, and with its checkpoints as far as time allows.

    Args:
        metrics: the file that has them, those before the run was resumed included.
        path: of the picture.
        share: of the run's time that drawing may take.
        first: seconds before the first picture, unless the run ends earlier.
    """

    metrics: Path
    path: Path
    share: float = 0.01
    first: float = COST
    _drawn: int = field(default=0, init=False)
    _next: float = field(init=False)

    @property
    def label(self) -> str:
        """The name of the picture."""
        return self.path.name

    def __attrs_post_init__(self) -> None:
        self._next = time.monotonic() + self.first

    def __call__(self, event: Event) -> None:
        """Draw, if there is something new."""
        start = time.monotonic()
        if not isinstance(event, Finished) and not (
            isinstance(event, Saved) and start >= self._next
        ):
            return
        rows = read_metrics(self.metrics)
        if len(rows) > self._drawn:
            self._drawn = len(rows)
            figure = loss_figure(rows)
            _replaced(self.path, lambda path: figure.savefig(path, dpi=100))
            end = time.monotonic()
            self._next = end + (end - start) * (1 / self.share - 1)


def loss_figure(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """The loss of steps, as it was and smoothed, and that of held-out examples.

    Args:
        rows: lines of a file of metrics.
    """
    from matplotlib.figure import Figure

    from diffx_cli.picture.ticks import scale_by_log

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    steps, losses = _points(rows, "loss")
    if steps:
        size = -(-len(steps) // WINDOWS)
        style, alpha = (".", 0.25) if size > 1 else (".-", 1.0)
        axes.plot(steps, losses, style, color="tab:blue", alpha=alpha, label="loss of a step")
    if len(steps) > WINDOWS:
        means = [_mean(losses[i : i + size]) for i in range(0, len(steps), size)]
        places = [_mean(steps[i : i + size]) for i in range(0, len(steps), size)]
        axes.plot(places, means, color="tab:blue", label=f"mean of {size}")
    held_out, values = _points(rows, "validation_loss")
    if held_out:
        axes.plot(held_out, values, "o-", color="tab:orange", label="held-out examples")
    shown = [*losses, *values]
    if shown and min(shown) > 0:
        scale_by_log(axes)
    if shown:
        axes.legend()
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3, which="both")
    return figure


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """The steps and values of a figure; null stands for one that was not finite."""
    found = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return [step for step, _ in found], [value for _, value in found]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _replaced(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its name and then there, so that it is whole whenever it is looked at."""
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
