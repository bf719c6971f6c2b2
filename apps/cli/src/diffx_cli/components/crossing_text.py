"""Crossings as a grid with a cell for each pair, and what is to be said of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from diffx_cli.components.crossing import Crossing
from diffx_cli.line.layout import WIDTH
from diffx_core.plugins.registered import Registered

Name = Callable[[Registered], str]

WORST = ("failed", "refused", "ok")
"""Of the predictions of one pair, the one that its cell shows."""

PAGE = """\
# Which sampler works with which process

Made by `diffx matrix --format markdown`; do not edit.

A number is the measured order: how fast the error falls as steps become small, of the samples
themselves where a sampler is deterministic, of their law where it draws noise. The data are
mixtures of Gaussians, whose exact denoiser is known. `ok` is a pair that works but has no order,
`refused` one that says beforehand that it cannot work. Every pair is run with every prediction;
the samples do not depend on which.
"""


def rows(crossings: Sequence[Crossing], name: Name) -> list[list[str]]:
    """The grid: a row for each sampler, a column for each scheduler, with a heading."""
    pairs: dict[Registered, dict[Registered, Crossing]] = {}
    for one in crossings:
        if one.sampler is None or one.scheduler is None:
            continue
        row = pairs.setdefault(one.sampler, {})
        known = row.get(one.scheduler, one)
        row[one.scheduler] = min(known, one, key=lambda found: WORST.index(found.status))
    schedulers = list(dict.fromkeys(scheduler for row in pairs.values() for scheduler in row))
    heading = ["sampler", "declared", *map(name, schedulers)]
    return [
        heading,
        *(
            [name(sampler), _declared(row.values()), *(_cell(row[one]) for one in schedulers)]
            for sampler, row in pairs.items()
        ),
    ]


def remarks(crossings: Sequence[Crossing], name: Name) -> list[str]:
    """One line for each reason, with the pairs that it is about."""
    schedulers = {one.scheduler for one in crossings if one.scheduler is not None}
    predictions = {one.prediction for one in crossings if one.prediction is not None}
    about: dict[tuple[str, str], dict[Registered, dict[Registered, set[str]]]] = {}
    lines = []
    for one in crossings:
        if one.plugin is not None:
            lines.append(f"{one.status}: {one.reason}")
        if not (one.reason and one.sampler and one.scheduler and one.prediction):
            continue
        told = about.setdefault((one.status, one.reason), {})
        told.setdefault(one.sampler, {}).setdefault(one.scheduler, set()).add(one.prediction)
    for (status, reason), told in about.items():
        alike: dict[tuple[str, str], list[str]] = {}
        for sampler, found in told.items():
            where = "" if set(found) == schedulers else ", ".join(map(name, found))
            read = set().union(*found.values())
            with_what = "" if read == predictions else ", ".join(sorted(read))
            alike.setdefault((where, with_what), []).append(name(sampler))
        who = "; ".join(
            ", ".join(names) + (f" with {where}" if where else "") + (f" ({read})" if read else "")
            for (where, read), names in alike.items()
        )
        label = "" if status == "ok" else f"{status}: "
        lines.append(f"{label}{who}: {reason}")
    return lines


def table(crossings: Sequence[Crossing], name: Name) -> str:
    """Plain text; as many grids below each other as its width needs."""
    grid = rows(crossings, name)
    widths = [max(map(len, column)) + 2 for column in zip(*grid, strict=True)]
    lines, first = [], 2
    while first < len(widths):
        last = first + 1
        while last < len(widths) and sum(widths[:2]) + sum(widths[first : last + 1]) <= WIDTH:
            last += 1
        for row in grid:
            shown = zip(
                [*row[:2], *row[first:last]], [*widths[:2], *widths[first:last]], strict=True
            )
            lines.append("".join(cell.ljust(width) for cell, width in shown).rstrip())
        lines.append("")
        first = last
    counts = Counter(one.status for one in crossings)
    total = f"{counts['ok']} ok, {counts['refused']} refused, {counts['failed']} failed"
    return "\n".join([*lines, *(f"* {line}" for line in remarks(crossings, name)), total])


def markdown(crossings: Sequence[Crossing], name: Name) -> str:
    """A page."""
    heading, *body = rows(crossings, name)
    lines = [_line(heading), _line(["---"] * len(heading)), *map(_line, body)]
    said = [f"* {line}" for line in remarks(crossings, name)]
    return "\n".join([PAGE, *lines, *([""] if said else []), *said])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(one: Crossing) -> str:
    if one.status == "ok" and one.order is not None:
        return f"{one.order:.2f}"
    return one.status


def _declared(row: Iterable[Crossing]) -> str:
    known = {one.declared for one in row if one.declared is not None}
    return ", ".join(map(str, sorted(known))) or "-"
