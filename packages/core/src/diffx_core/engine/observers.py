"""Observers of a run: a progress bar for people, a file of JSON lines for everything else."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from attrs import asdict, define, field
from tqdm import tqdm

from diffx_core.engine.events import Event, Finished, Started, Stepped


@define
class MetricsFile:
    """One JSON object a line: step, loss, lr, grad_norm, examples_per_second, seconds.

    Args:
        path: of the file; lines are added to it.
        every: steps between two lines. The last step is always written.
    """

    path: Path
    every: int = 10
    _batch_size: int = field(default=0, init=False)
    _steps: int = field(default=0, init=False)

    def __call__(self, event: Event) -> None:
        """Write a line, if it is time."""
        if isinstance(event, Started):
            self._batch_size, self._steps = event.batch_size, event.steps
        if isinstance(event, Stepped) and (
            event.step % self.every == 0 or event.step in {1, self._steps}
        ):
            speed = event.step * self._batch_size / max(event.seconds, 1e-9)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**asdict(event), "examples_per_second": speed}) + "\n")


@define
class Progress:
    """A bar with time left, speed and loss on a terminal; a plain line now and then elsewhere.

    Args:
        stream: where to draw.
        lines: how many plain lines a run gets.
    """

    stream: TextIO = field(factory=lambda: sys.stderr or io.StringIO())
    lines: int = 10
    _bar: "tqdm[None] | None" = field(default=None, init=False)
    _started: Started | None = field(default=None, init=False)
    _loss: float = field(default=float("nan"), init=False)

    def __call__(self, event: Event) -> None:
        """Draw the event; a stream that is gone or full does not stop a run."""
        with suppress(OSError, ValueError):
            self._draw(event)

    def _draw(self, event: Event) -> None:
        handlers: dict[type, Callable[..., None]] = {
            Started: self._start,
            Stepped: self._step,
            Finished: self._finish,
        }
        handlers[type(event)](event)

    def _start(self, event: Started) -> None:
        self._started = event
        if self.stream.isatty():
            self._bar = tqdm(total=event.steps, file=self.stream, unit="step", desc="train")

    def _step(self, event: Stepped) -> None:
        assert self._started is not None
        first = event.step == 1
        self._loss = event.loss if first else 0.98 * self._loss + 0.02 * event.loss
        if self._bar is not None:
            speed = event.step * self._started.batch_size / max(event.seconds, 1e-9)
            self._bar.set_postfix_str(
                f"loss {self._loss:.4f}, {speed:.0f} examples/s", refresh=False
            )
            self._bar.update()
        elif event.step % max(1, self._started.steps // self.lines) == 0:
            left = event.seconds / event.step * (self._started.steps - event.step)
            self.stream.write(
                f"step {event.step}/{self._started.steps}  loss {self._loss:.4f}  "
                f"lr {event.lr:.2g}  {left:.0f} s left\n"
            )
            self.stream.flush()

    def _finish(self, event: Finished) -> None:
        if self._bar is not None:
            self._bar.close()
        self.stream.write(f"{event.step} steps in {event.seconds:.0f} s\n")
