"""The axis of a chart: where values are, and which of them are written beside it."""

import math
from collections.abc import Iterable, Sequence

from attrs import frozen

RATIO = 20.0
"""Positive values that differ more have a logarithmic axis."""
ROOM = 0.05
"""Beyond the values, as a share of the axis."""
WANTED = 5
"""Written values, about."""
MOST_DECADES = 6
SMALLEST = 1e-200
"""No smaller value has a logarithm that is worth a chart."""


@frozen
class Axis:
    """From values to shares of a side of the frame.

    Args:
        low: the value at its beginning.
        high: the one at its end.
        log: whether equal ratios have equal distances.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(
        cls, values: Iterable[float], *, log: bool | None = None, room: float = ROOM
    ) -> "Axis":
        """The axis for some values, of which there is one at least.

        Args:
            values: what has to be on it.
            log: whether it is logarithmic; by default if the values suggest it.
            room: beyond them, as a share.
        """
        found = list(values)
        low, high = min(found), max(found)
        if low <= SMALLEST:
            log = False
        elif log is None:
            log = high / low > RATIO
        if log:
            low, high = math.log10(low), math.log10(high)
        extra = room * (high - low) or max(abs(high), 1e-9) * 0.1 * (room > 0)
        low, high = low - extra, high + extra
        if high <= low:
            high = low + 1.0
        return cls(10**low, 10**high, log=True) if log else cls(low, high)

    def share(self, value: float) -> float:
        """Where a value is: 0 at the beginning, 1 at the end."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return (self._scaled(value) - low) / (high - low)

    def ticks(self) -> list[float]:
        """The values that are written beside it."""
        if self.log:
            found = _powers(self.low, self.high)
            if len(found) > 1:
                return found
        return _even(self.low, self.high)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def written(values: Sequence[float]) -> list[str]:
    """Numbers in as few characters as tell them apart."""
    for digits in range(3, 12):
        found = [short(one, digits) for one in values]
        if len(set(found)) == len(found):
            break
    return found


def short(value: float, digits: int = 4) -> str:
    """A number in few characters."""
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e7:
        text = f"{value:.{digits - 2}e}"
        mantissa, power = text.split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{value / unit:.{digits}g}{letter}"
    return f"{value:.{digits}g}"


def _even(low: float, high: float) -> list[float]:
    """Round values at equal distances."""
    rough = (high - low) / WANTED
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * one for one in (1, 2, 2.5, 5, 10) if unit * one >= rough)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [float(f"{(first + i) * step:.10g}") for i in range(count)]


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 times them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = range(first, last + 1, max(1, (last - first) // MOST_DECADES))
    full = _inside((10.0**one for one in decades), low, high)
    if len(full) > 2:
        return full
    return _inside((times * 10.0**one for one in decades for times in (1, 2, 5)), low, high)


def _inside(values: Iterable[float], low: float, high: float) -> list[float]:
    found: Sequence[float] = [one for one in values if low <= one <= high]
    return list(found)
