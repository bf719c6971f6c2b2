"""How far work on many samples or other things is, for the person who waits for it."""

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from attrs import define, field
from tqdm import tqdm

from diffx_cli.line.console import Voice
from diffx_core.engine.observers.progress import duration


@define
class Advance:
    """A bar on a terminal; elsewhere a plain line now and then, if there are several batches.

    Args:
        total: how many things there will be.
        done: how many were there before.
        several: whether they are worked on in several batches.
        title: of the bar and of the lines, which are without it if it is the unit.
        unit: of what there will be.
        stream: where to draw.
        lines: how many plain lines there are at most.
    """

    total: int
    done: int
    several: bool
    title: str = "sample"
    unit: str = "sample"
    stream: TextIO = field(factory=lambda: sys.stderr or io.StringIO())
    lines: int = 10
    _bar: "tqdm[None] | None" = field(default=None, init=False)
    _before: int = field(init=False)
    _began: float = field(factory=time.monotonic, init=False)

    def __attrs_post_init__(self) -> None:
        self._before = self.done

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While they are worked on."""
        with suppress(OSError, ValueError):
            if not Voice.silent and self.stream.isatty():
                self._bar = tqdm(
                    total=self.total,
                    initial=self.done,
                    file=self.stream,
                    unit=self.unit,
                    desc=self.title,
                    dynamic_ncols=True,
                    bar_format="{l_bar}{bar}| {n:.0f}/{total} [{elapsed}<{remaining}, {rate_fmt}]",
                )
        try:
            yield
        finally:
            with suppress(OSError, ValueError):
                if self._bar is not None:
                    self._bar.close()

    def within(self, count: int, share: float) -> None:
        """A share of the work has been done for so many that are being worked on."""
        with suppress(OSError, ValueError):
            if self._bar is not None:
                self._bar.n = self.done + count * share
                self._bar.update(0)

    def reached(self, done: int) -> None:
        """So many are done."""
        before, self.done = self.done, done
        with suppress(OSError, ValueError):
            if self._bar is not None:
                self._bar.n = done
                self._bar.refresh()
            elif self.several and not Voice.silent and self._is_due(before):
                self.stream.write(self._line())
                self.stream.flush()

    def _is_due(self, before: int) -> bool:
        tenths = [n * self.lines // self.total for n in (before, self.done)]
        return tenths[0] != tenths[1]

    def _line(self) -> str:
        seconds, drawn = time.monotonic() - self._began, self.done - self._before
        left = duration(seconds * (self.total - self.done) / drawn)
        pace = drawn / max(seconds, 1e-9)
        shown = f"{pace:.0f}" if pace >= 10 else f"{pace:.2g}"
        name = "" if self.title == self.unit else f"{self.title}  "
        return f"{name}{self.done}/{self.total} {self.unit}s  {shown} {self.unit}s/s  {left} left\n"
