"""Figures as tables for people."""

from typing import Any

from diffx_cli.evaluate.summary import shown
from diffx_cli.line.layout import columns


def evaluation_table(facts: dict[str, Any]) -> str:
    """The figures of an evaluation, beside what real data and noise get."""
    head = ("FIGURE", "VALUE", "REAL DATA", "NOISE", "BETTER")
    return "\n".join(columns([head, *evaluation_rows(facts)], indent=0))


def evaluation_rows(facts: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """The rows of that table, without its head."""
    rows = []
    for one in facts["figures"]:
        better = "lower" if one["lower_is_better"] else "higher"
        values = (shown(one), shown(one["floor"]), shown(one["ceiling"]))
        rows.append((one["name"], *values, better))
    accuracy, memory = facts["label_accuracy"], facts.get("memorisation")
    if accuracy is not None:
        rows.append(
            ("of the class asked for", shown(accuracy), f"{accuracy['of_real']:.4g}", "", "higher")
        )
    if memory is not None:
        copied, nearness = memory["copied"], memory["nearness"]
        rows.append(("copies of real data", shown(copied), f"{copied['of_real']:.4g}", "", "lower"))
        if nearness is not None:
            rows.append(("distance to real data", shown(nearness), "1", "", ""))
    return rows


def comparison_table(facts: dict[str, Any]) -> str:
    """Every figure by sampler and network calls."""
    cells = {(one["label"], one["nfe"]): one for one in facts["cells"]}
    labels, calls = (list(dict.fromkeys(column)) for column in zip(*cells, strict=True))
    known = next(one for one in facts["cells"] if "figures" in one)["figures"]
    blocks = []
    for place, figure in enumerate(known):
        better = "lower" if figure["lower_is_better"] else "higher"
        bounds = f"real data {figure['floor']['mean']:.4g}, noise {figure['ceiling']['mean']:.4g}"
        head = f"{figure['name']}, {better} is better; {bounds}"
        rows = [(label, *(_of(cells[label, nfe], place) for nfe in calls)) for label in labels]
        lines = columns([("SAMPLER", *(f"NFE {nfe}" for nfe in calls)), *rows], indent=0)
        blocks.append("\n".join([head, "", *lines]))
    return "\n\n".join(blocks)


def _of(cell: dict[str, Any], place: int) -> str:
    return shown(cell["figures"][place]) if "figures" in cell else "-"
