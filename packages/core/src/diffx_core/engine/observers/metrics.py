"""The figures of a run as a file of JSON lines, for everything that is not a person.

    {"step": 10, "loss": 0.91, "lr": 1e-4, "grad_norm": 1.2, "seconds": 3.1, ...}
    {"step": 20, "validation_loss": 0.88, "bins": [{"low": -10.0, "high": -5.0, "loss": 0.7, ...}]}
    {"step": 25, "ended": "0.5 hours are over"}

The last of these is there if a run has ended before its last step. A run that is resumed first cuts
it off, as it does the lines of steps that it takes again, and a line that a crash left unfinished.
Figures that are not finite are null, as JSON has no others.
"""

import json
import logging
import math
import sys
from pathlib import Path
from typing import Any

from attrs import asdict, define, field

from diffx_core.engine.durable import append, lines, replace_text
from diffx_core.engine.events import Event, Finished, Started, Stepped, Validated
from diffx_core.engine.observers.figures import Pace

log = logging.getLogger(__name__)

MOST_STEPS = 2**63
"""A line of a later step is damaged."""


@define
class MetricsFile:
    """A line for each step whose figures are wanted, for each look, and for an end before the last.

    A line that cannot be written is lost, and said once; later ones are written again.

    Args:
        path: of the file.
        every: steps between two lines. The first and the last step are always written.
    """

    path: Path
    every: int = 10
    _pace: Pace = field(init=False)
    _is_full: bool = field(default=False, init=False)

    @property
    def label(self) -> str:
        """The name of the file."""
        return self.path.name

    def __attrs_post_init__(self) -> None:
        self._pace = Pace(every=self.every)

    def __call__(self, event: Event) -> None:
        """Write a line, if it is time."""
        match event:
            case Started():
                self._pace.heard(event)
                cut(self.path, event.step, self.every)
            case Stepped() if self._pace.is_wanted(event):
                speed = self._pace.examples_per_second(event)
                self._write({**asdict(event), "examples_per_second": speed})
            case Validated():
                bins = [asdict(one) for one in event.bins]
                self._write({"step": event.step, "validation_loss": event.loss, "bins": bins})
            case Finished() if event.reason:
                self._write({"step": event.step, "ended": event.reason})
            case _:
                pass

    def _write(self, values: dict[str, Any]) -> None:
        try:
            append(self.path, _line(values))
        except OSError as error:
            if not self._is_full:
                log.warning("%s: %s; lines are lost until there is room", self.path, error.strerror)
            self._is_full = True
        else:
            self._is_full = False


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; one that was cut off by a crash is none."""
    if not path.exists():
        return []
    return [row for line in lines(path) if (row := _row(line)) is not None]


def cut(path: Path, step: int, every: int = 1) -> None:
    """Remove the lines about later steps than this or an end, and lines that are none, all at once.

    What is missing besides is said.

    Args:
        path: of the file.
        step: the last that is kept.
        every: steps between two lines.
    """
    if not path.exists():
        return
    kept, lost = [], 0
    for line in lines(path):
        row = _row(line)
        if row is None:
            lost += line.endswith(b"\n")  # else it was cut off by a crash
        elif row["step"] <= step and "ended" not in row:
            kept.append(row)
    if lost:
        lines_lost = "1 line" if lost == 1 else f"{lost} lines"
        log.warning("%s: damaged; the figures of %s are lost", path, lines_lost)
    steps = [row["step"] for row in kept if "loss" in row]
    last, before = (*reversed(steps), 0, 0)[:2]
    if step >= last + 2 * max(every, last - before):
        log.warning("%s: the figures of steps %d to %d are lost", path, last + 1, step)
    replace_text(path, "".join(map(_line, kept)))


def _row(line: bytes) -> dict[str, Any] | None:
    """What a line says; None if it is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    if not (type(step) is int and 0 <= step < MOST_STEPS):
        return None
    # Otherwise each of millions of lines would have names of its own.
    return {sys.intern(name): one for name, one in row.items()}


def _line(values: dict[str, Any]) -> str:
    return json.dumps(_plain(values), allow_nan=False) + "\n"


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
