"""Figures over the steps of a run, and fewer points of them that look the same."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
"""A line of a file of metrics."""
Points: TypeAlias = list[tuple[float, float]]
"""Of a curve: x rises."""

MOST = 600
"""Points of a curve: about as many as a chart has pixels."""
LARGEST = 1e200
"""Nothing that can be drawn is larger, and what is smaller than its inverse is nothing."""
WINDOWS = 100
"""Points of a smoothed curve."""


def number(value: object) -> float | None:
    """A finite number; None for anything else, such as null for one that was not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    if abs(found) < 1 / LARGEST:
        return 0.0
    return found if abs(found) <= LARGEST else None


def points(rows: Iterable[Row], name: str) -> Points:
    """The steps and values of a figure, where it has one."""
    found = ((row["step"], number(row.get(name))) for row in rows)
    return [(step, value) for step, value in found if value is not None]


def lost(rows: Iterable[Row], name: str) -> list[int]:
    """The steps whose figure was not a finite number."""
    return [row["step"] for row in rows if name in row and number(row[name]) is None]


def thinned(curve: Points, most: int = MOST) -> Points:
    """At most so many points: the lowest and the highest of equal parts, and both ends."""
    if len(curve) <= most:
        return curve
    parts = max(1, (most - 2) // 2)
    kept = {0, len(curve) - 1}
    for part in range(parts):
        rows = range(part * len(curve) // parts, (part + 1) * len(curve) // parts)
        kept |= {min(rows, key=lambda i: curve[i][1]), max(rows, key=lambda i: curve[i][1])}
    return [curve[i] for i in sorted(kept)]


def smoothed(curve: Points, windows: int = WINDOWS) -> Points:
    """The means of equal parts; empty if there are too few points for them to tell more."""
    if len(curve) < 3 * windows:
        return []
    ends = [part * len(curve) // windows for part in range(windows + 1)]
    parts = (curve[low:high] for low, high in pairwise(ends))
    return [(_mean([x for x, _ in part]), _mean([y for _, y in part])) for part in parts]


def stretches(rows: Iterable[Row]) -> list[list[Row]]:
    """The lines of steps, one list for each time that the run was started."""
    found: list[list[Row]] = []
    before = math.inf
    for row in rows:
        seconds = number(row.get("seconds"))
        if seconds is None:
            continue
        if seconds < before:
            found.append([])
        found[-1].append(row)
        before = seconds
    return found


def pace(rows: Iterable[Row]) -> Points:
    """Examples a second between two lines; a line has the mean since the run was started."""
    found: Points = []
    for stretch in stretches(rows):
        seconds, done = 0.0, 0.0
        for row in stretch:
            speed, now = number(row.get("examples_per_second")), number(row["seconds"])
            if speed is None or now is None or now <= seconds:
                continue
            found.append((row["step"], max(0.0, speed * now - done) / (now - seconds)))
            seconds, done = now, speed * now
    return found


def seconds(rows: Iterable[Row]) -> float:
    """How long a run has trained in all."""
    return sum(number(stretch[-1]["seconds"]) or 0.0 for stretch in stretches(rows))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
