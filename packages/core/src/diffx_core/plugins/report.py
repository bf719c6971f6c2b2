"""The registry as a table, for people, and as rows of plain types, for programs."""

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Literal, TypedDict

from diffx_core.plugins.component import Kind
from diffx_core.plugins.registry import Registry

_NARROWEST = 24
"""A last column that is narrower than this is let out beyond the width instead."""


class Row(TypedDict):
    """One component, or one plugin that failed: that has no kind, and its entry point's name."""

    kind: Kind | None
    name: str
    qualified: str
    distribution: str
    version: str
    status: Literal["ok", "ambiguous", "failed"]
    summary: str
    error: str | None


def rows(registry: Registry, kind: Kind | None = None) -> list[Row]:
    """The components of one kind, or of every kind, then every failure: it may be of any kind."""
    components = [
        Row(
            kind=r.kind,
            name=r.name,
            qualified=r.qualified,
            distribution=r.distribution,
            version=r.version,
            status="ambiguous" if registry.is_ambiguous(r) else "ok",
            summary=r.summary,
            error=None,
        )
        for r in registry.all(kind)
    ]
    failures = [
        Row(
            kind=None,
            name=plugin.entry,
            qualified=f"{plugin.distribution}:{plugin.entry}",
            distribution=plugin.distribution,
            version=plugin.version,
            status="failed",
            summary="",
            error=plugin.error,
        )
        for plugin in registry.failures
    ]
    return components + failures


def table(rows: Iterable[Row], *, width: int = 100) -> str:
    """The rows as plain text, with columns as wide as what stands in them.

    Args:
        rows: what to show.
        width: columns of the terminal; the last column is wrapped to fit.
    """
    lines = [("KIND", "NAME", "FROM", "SUMMARY"), *map(_cells, rows)]
    if len(lines) == 1:
        return "no plugins are installed"
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    room = max(_NARROWEST, width - sum(widths) - 2 * len(widths))
    return "\n".join(part for line in lines for part in _laid_out(line, widths, room))


def _cells(row: Row) -> tuple[str, str, str, str]:
    origin = f"{row['distribution']} {row['version']}"
    match row["status"]:
        case "failed":
            return "failed", row["name"], origin, row["error"] or ""
        case "ambiguous":
            note = f"say {row['qualified']}, as the short name is ambiguous"
            return row["kind"] or "", row["name"], origin, f"{row['summary']} ({note})".strip()
        case _:
            return row["kind"] or "", row["name"], origin, row["summary"]


def _laid_out(cells: Sequence[str], widths: Sequence[int], room: int) -> list[str]:
    *first, last = cells
    head = "  ".join(cell.ljust(width) for cell, width in zip(first, widths, strict=True))
    indent = " " * len(head)
    parts = wrap(last, room, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{head if i == 0 else indent}  {part}".rstrip() for i, part in enumerate(parts)]
