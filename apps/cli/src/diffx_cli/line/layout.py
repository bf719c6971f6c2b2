"""Plain text in columns, for help and descriptions."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

WIDTH = 100
"""Columns of a page of help; independent of the terminal, so that help is the same in a file."""


def columns(rows: Iterable[Sequence[str]], *, indent: int = 2) -> list[str]:
    """Rows of cells as lines. All columns but the last are as wide as their widest cell."""
    lines = [list(row) for row in rows]
    if not lines:
        return []
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]) - 1)]
    margin = " " * indent
    return [part for line in lines for part in _laid_out(line, widths, margin)]


def _laid_out(line: Sequence[str], widths: Sequence[int], margin: str) -> list[str]:
    head = margin + "".join(f"{cell:<{width}}  " for cell, width in zip(line, widths, strict=False))
    parts = wrap(line[-1], max(30, WIDTH - len(head)), break_on_hyphens=False) or [""]
    return [f"{head if i == 0 else ' ' * len(head)}{part}".rstrip() for i, part in enumerate(parts)]
