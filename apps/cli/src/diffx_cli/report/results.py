"""How good the samples of a run were found, as tables and charts with their protocol."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from diffx_cli.evaluate.summary import shown
from diffx_cli.evaluate.tables import evaluation_rows
from diffx_cli.line.console import counted
from diffx_cli.report.axis import short
from diffx_cli.report.chart import Chart, Curve
from diffx_cli.report.gathered import Gathered
from diffx_cli.report.parts import Lines, Missing, Part, Table
from diffx_cli.report.series import Points, number

TONES = 8
PLUS_MINUS = " ±\u00a0"
"""Before a spread, which does not stand alone in a line."""
UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What a file that is of another program, or was edited, leads to."""


def evaluations(found: Gathered) -> list[Part]:
    """A table of figures for each evaluation."""
    if not found.evaluations:
        return [Missing("Its samples have not been evaluated: diffx evaluate RUN does.")]
    return [_read(found, path, facts, _evaluation) for path, facts in found.evaluations]


def comparisons(found: Gathered) -> list[Part]:
    """For each comparison quality against network calls, and the figures."""
    if not found.comparisons:
        return [Missing("No samplers have been compared: diffx compare RUN does.")]
    parts: list[Part] = []
    for path, facts in found.comparisons:
        with suppress(*UNREADABLE):  # as the table says
            parts.extend(_charts(facts))
        parts.append(_read(found, path, facts, _comparison))
    return parts


def _read(
    found: Gathered, path: Path, facts: dict[str, Any], make: Callable[[str, dict[str, Any]], Table]
) -> Part:
    name = found.relative(path.parent)
    try:
        return make(name, facts)
    except UNREADABLE:
        return Lines(
            [f"{name}: {path.name} has no figures that this diffx can read."], alarming=True
        )


def _evaluation(name: str, facts: dict[str, Any]) -> Table:
    rows = [[_signed(cell) for cell in row] for row in evaluation_rows(facts)]
    head = ("figure", "samples", "real data", "noise", "better")
    return Table(name, head, rows, _protocol(facts))


def _comparison(name: str, facts: dict[str, Any]) -> Table:
    measured = [one for one in facts["cells"] if "figures" in one]
    figures = [one["name"] for one in measured[0]["figures"]] if measured else []
    rows = []
    for one in facts["cells"]:
        values = [_spread(figure) for figure in one.get("figures", ())]
        missing = one.get("refused") or "not measured"
        values = values or [str(missing), *[""] * (len(figures) - 1)]
        accuracy = one.get("label_accuracy")
        told = "" if accuracy is None else _spread(accuracy)
        rows.append([str(one["label"]), str(one["nfe"]), *values, told])
    head = ("sampler", "network calls", *figures, "of the class asked for")
    if all(not row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    bounds = [
        f"{one['name']} of real data {_spread(one['floor'])}, of noise {_spread(one['ceiling'])}"
        for one in (measured[0]["figures"] if measured else ())
    ]
    return Table(name, head, rows, "; ".join([*bounds, _protocol(facts)]))


def _charts(facts: dict[str, Any]) -> Iterator[Chart]:
    """A chart for each figure of the metric."""
    measured = [one for one in facts["cells"] if "figures" in one]
    labels = list(dict.fromkeys(one["label"] for one in measured))
    calls = sorted({float(one["nfe"]) for one in measured})
    for place, figure in enumerate(measured[0]["figures"] if measured else ()):
        curves = [
            Curve(label, values, i % TONES)
            for i, label in enumerate(labels)
            if (values := _values(measured, label, place))
        ]
        floor = number(figure["floor"]["mean"])
        levels = [] if floor is None else [(floor, "real data")]
        title = f"{figure['name']}, {_better(figure)} is better"
        if curves:
            yield Chart(title, curves, x="network calls", log_x=True, at=calls, levels=levels)


def _values(cells: Sequence[dict[str, Any]], label: str, place: int) -> Points:
    own = [one for one in cells if one["label"] == label]
    found = ((float(one["nfe"]), number(one["figures"][place]["mean"])) for one in own)
    return sorted((calls, value) for calls, value in found if value is not None)


def _protocol(facts: dict[str, Any]) -> str:
    """What the figures depend on, in one line."""
    sampler, reference = facts.get("sampler"), facts.get("reference")
    guidance = facts.get("guidance") or {}
    features = facts.get("features") or {}
    scale = number(guidance.get("scale"))
    calls = counted(facts.get("nfe", 0), "network call")
    said = (
        f"step {facts['step']}",
        sampler and f"{sampler['name'].rpartition(':')[2]}, {calls}",
        facts.get("samples") and f"samples of {facts['samples']}",
        f"{facts.get('repeats', 1)} x {counted(facts['n'], 'sample')}",
        reference and f"against {counted(reference['n'], 'real example')}",
        features and f"features {', '.join(one['name'] for one in features.values())}",
        scale is not None and scale != 1 and f"guidance {short(scale)}",
        f"seed {facts['seed']}",
    )
    return "; ".join(str(one) for one in said if one)


def _better(figure: dict[str, Any]) -> str:
    return "lower" if figure["lower_is_better"] else "higher"


def _spread(summary: dict[str, Any]) -> str:
    """A mean, with its spread if there are several values."""
    return _signed(shown(summary))


def _signed(text: str) -> str:
    return text.replace(" +- ", PLUS_MINUS)
