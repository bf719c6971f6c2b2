"""A bar for whoever waits at a terminal; elsewhere, and in the first seconds, there is none."""

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tqdm import tqdm

SOON = 2
"""Seconds after which it appears."""
Item = TypeVar("Item")


def waiting(items: Sequence[Item], what: str, each: int = 1) -> Iterable[Item]:
    """The items, one after another, with a bar that counts them.

    Args:
        items: what is gone through.
        what: they are.
        each: how many things an item stands for.
    """
    shown = sys.stderr is not None and sys.stderr.isatty()
    bar: Iterable[Item] = tqdm(
        items, desc=what, delay=SOON, disable=not shown, leave=False, unit_scale=each
    )
    return bar
