"""A file of JSON lines, for everything that is not a person."""

import json
from pathlib import Path

from attrs import asdict, define, field

from diffx_core.engine.events import Event, Started, Stepped


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
