"""Work on n things in parts, of which each is done by one process.

Which things are worked on together does not depend on how many processes there are, so what comes
of it does not either.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from attrs import frozen

from diffx_cli.line.advance import Advance
from diffx_core.engine.ranks import Ranks

Work: TypeAlias = Callable[[int, Callable[[float], None]], None]
"""Does a part, and says on the way which share of it is done."""


@frozen
class Parts:
    """So many things in parts of equal size, but for the last.

    Args:
        n: how many things there are.
        size: of a part.
    """

    n: int
    size: int

    def __len__(self) -> int:
        return math.ceil(self.n / self.size)

    def rows(self, part: int) -> range:
        """Which things are in a part."""
        return range(part * self.size, min((part + 1) * self.size, self.n))

    def count(self, parts: Sequence[int]) -> int:
        """How many things are in some parts."""
        return sum(len(self.rows(part)) for part in parts)

    def work(self, todo: Sequence[int], ranks: Ranks, do: Work, title: str = "sample") -> None:
        """Do parts, one by each process at a time; what one of them fails of ends all.

        Args:
            todo: which.
            ranks: the processes.
            do: a part.
            title: of the bar.
        """
        done = self.n - self.count(todo)
        advance = Advance(self.n, done, several=len(self) > 1, title=title)
        with advance.shown():
            for first in range(0, len(todo), ranks.world):
                turn, error = todo[first : first + ranks.world], None
                count = self.count(turn)
                try:
                    if ranks.rank < len(turn):
                        do(turn[ranks.rank], partial(advance.within, count))
                except Exception as caught:  # noqa: BLE001 - all processes end with it
                    error = caught
                ranks.agree("", error)
                advance.reached(advance.done + count)
