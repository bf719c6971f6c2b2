"""How far a run is, for the person who waits for it."""

import io
import sys
from contextlib import suppress
from typing import TextIO

from attrs import define, field
from tqdm import tqdm

from diffx_core.engine.events import Event, Finished, Started, Stepped, Validated
from diffx_core.engine.observers.figures import Pace
from diffx_core.engine.observers.memory import peak_memory

REFRESH = 0.2
"""Seconds between two texts beside the bar."""


@define
class Progress:
    """A bar on a terminal, a plain line now and then elsewhere.

    Either says the loss (smoothed), the learning rate, the norm of the gradient, examples a second,
    the most memory that was needed, and the time left.

    Args:
        stream: where to draw.
        lines: how many plain lines a run gets.
    """

    stream: TextIO = field(factory=lambda: sys.stderr or io.StringIO())
    lines: int = 10
    _bar: "tqdm[None] | None" = field(default=None, init=False)
    _pace: Pace = field(factory=Pace, init=False)
    _loss: float | None = field(default=None, init=False)
    _held_out: float | None = field(default=None, init=False)
    _drawn: float = field(default=-REFRESH, init=False)

    def __call__(self, event: Event) -> None:
        """Draw the event; a stream that is gone or full does not stop a run."""
        with suppress(OSError, ValueError):
            match event:
                case Started():
                    self._start(event)
                case Stepped():
                    self._step(event)
                case Validated():
                    self._held_out = event.loss
                case Finished():
                    self._finish(event)
                case _:
                    pass

    def _start(self, event: Started) -> None:
        self._pace.heard(event)
        if self.stream.isatty():
            self._bar = tqdm(
                total=event.steps,
                initial=event.step,
                file=self.stream,
                unit="step",
                desc="train",
                dynamic_ncols=True,
            )

    def _step(self, event: Stepped) -> None:
        self._loss = event.loss if self._loss is None else 0.98 * self._loss + 0.02 * event.loss
        steps = self._pace.started.steps
        if self._bar is not None:
            if event.seconds - self._drawn >= REFRESH or event.step == steps:
                self._drawn = event.seconds
                self._bar.set_postfix_str(", ".join(self._figures(event)), refresh=False)
            self._bar.update()
        elif event.step % max(1, steps // self.lines) == 0:
            left = f"{duration(self._pace.seconds_left(event))} left"
            figures = "  ".join([*self._figures(event), left])
            self.stream.write(f"step {event.step}/{steps}  {figures}\n")
            self.stream.flush()

    def _figures(self, event: Stepped) -> list[str]:
        memory = peak_memory()
        return [
            f"loss {self._loss:.4f}",
            *([] if self._held_out is None else [f"held out {self._held_out:.4f}"]),
            f"lr {event.lr:.2g}",
            f"grad {event.grad_norm:.2g}",
            f"{self._pace.examples_per_second(event):.0f} examples/s",
            *([] if memory is None else [f"{memory / 1e9:.1f} GB"]),
        ]

    def _finish(self, event: Finished) -> None:
        if self._bar is not None:
            self._bar.close()
        taken = event.step - self._pace.started.step
        said = f"{taken} {'step' if taken == 1 else 'steps'} in {duration(event.seconds)}"
        if taken != event.step:
            said += f", {event.step} in all"
        if event.reason:
            said += f"; the run ended before step {self._pace.started.steps}: {event.reason}"
        self.stream.write(f"{said}\n")
        self.stream.flush()


def duration(seconds: float) -> str:
    """A time in the two units that tell something: 59 s, 2 min 5 s, 3 h 20 min, 2 d 4 h."""
    left = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    first = next((i for i, (_, size) in enumerate(units) if left >= size), len(units) - 1)
    parts: list[str] = []
    for name, size in units[first : first + 2]:
        count, left = divmod(left, size)
        parts += [f"{count} {name}"] if count or not parts else []
    return " ".join(parts)
