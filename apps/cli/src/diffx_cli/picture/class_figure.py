"""Points in the plane, coloured by class: as a picture, and as a table."""

import csv
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

FEW, MOST = 10, 20
"""Classes whose colours are told apart at a glance, and for which there is a legend."""


def write_table(
    file: Path, names: Sequence[object], labels: Sequence[int | None], points: Tensor
) -> None:
    """Write the points (n, 2) with what they are."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["example", "label", "x", "y"])
        rows.writerows(zip(names, labels, *points.T.tolist(), strict=True))


def write_figure(file: Path, labels: Sequence[int | None], points: Tensor, title: str) -> None:
    """Draw the points (n, 2)."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="tight")
    axes = figure.add_subplot(title=title, xticks=[], yticks=[])
    classes = sorted({one for one in labels if one is not None})
    few = len(classes) <= FEW
    colours = colormaps["tab10" if few else "turbo"]
    for k, one in enumerate(classes):
        colour = colours(k if few else k / (len(classes) - 1))
        horizontal, vertical = _of(one, labels, points)
        axes.scatter(horizontal, vertical, s=10, color=colour, label=str(one))
    if None in labels:
        horizontal, vertical = _of(None, labels, points)
        axes.scatter(horizontal, vertical, s=10, color="grey", label="none")
    if 1 < len(classes) <= MOST:
        axes.legend(title="class", markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file, dpi=110)


def _of(label: int | None, labels: Sequence[int | None], points: Tensor) -> list[list[float]]:
    here = [i for i, one in enumerate(labels) if one == label]
    columns: list[list[float]] = points[here].T.tolist()
    return columns
