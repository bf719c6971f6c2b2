"""Quality against network calls, one line for each sampler."""

from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from diffx_cli.line.console import counted
from diffx_cli.picture.ticks import scale_by_log

COLORS = colormaps["tab10"].colors  # type: ignore[attr-defined] # it is a list of colours
WIDTH, HEIGHT = 5.5, 4.2
"""Of a panel, in inches."""


def draw(facts: dict[str, Any]) -> Figure:
    """The plot of a comparison, a panel for each figure of the metric."""
    measured = [one for one in facts["cells"] if "figures" in one]
    known = measured[0]["figures"]
    figure = Figure(figsize=(WIDTH * len(known), HEIGHT), layout="constrained")
    panels = figure.subplots(1, len(known), squeeze=False)[0]
    for place, axes in enumerate(panels):
        _panel(axes, measured, place)
    repeats = f"{facts['repeats']} x " if facts["repeats"] > 1 else ""
    about = f"{repeats}{counted(facts['n'], 'sample')} against "
    about += counted(facts["reference"]["n"], "real example")
    figure.suptitle(about, fontsize="medium")
    return figure


def _panel(axes: Axes, cells: list[dict[str, Any]], place: int) -> None:
    labels = dict.fromkeys(one["label"] for one in cells)
    for i, label in enumerate(labels):
        own = sorted((one for one in cells if one["label"] == label), key=lambda one: one["nfe"])
        found = [one["figures"][place] for one in own]
        axes.errorbar(
            [one["nfe"] for one in own],
            [one["mean"] for one in found],
            yerr=[one["spread"] or 0.0 for one in found],
            label=label,
            color=COLORS[i % len(COLORS)],
            marker="o",
            markersize=4,
            capsize=3,
        )
    known = cells[0]["figures"][place]
    axes.axhline(known["floor"]["mean"], color="grey", linestyle="--", label="real data")
    means = [one["figures"][place]["mean"] for one in cells]
    if known["lower_is_better"] and min([*means, known["floor"]["mean"]]) > 0:
        scale_by_log(axes)
    axes.set_xscale("log")
    calls = sorted({one["nfe"] for one in cells})
    axes.xaxis.set_major_locator(FixedLocator(calls))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    better = "lower" if known["lower_is_better"] else "higher"
    axes.set_xlabel("network calls")
    axes.set_ylabel(f"{known['name']}, {better} is better")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend()
