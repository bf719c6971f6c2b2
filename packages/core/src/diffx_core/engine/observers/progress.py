"""How far a run is, for the person who waits for it."""

import io
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from attrs import define, field
from tqdm import tqdm

from diffx_core.engine.events import Event, Finished, Started, Stepped


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
        if type(event) in handlers:
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
