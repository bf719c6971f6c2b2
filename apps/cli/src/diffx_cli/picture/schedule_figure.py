"""A picture of processes: their functions of time, and what training makes of them."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, Literal

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AsinhLocator
from torch import Tensor

from diffx_cli.picture.schedules import Curves

SIZE = (13.0, 7.6)
"""Inches."""
DISPARITY = 10.0
"""Curves whose sizes differ more share an axis that is logarithmic beyond the smallest of them."""
MARGIN = 0.06
"""Room between curves and frame, as a share of the frame."""
WIDEST = 3.0
"""Points of the first line; later ones are thinner, so that both are seen where they coincide."""
LIGHTEST = 1e-3
"""The smallest effective weight in the frame, as a share of the largest."""
WIDTH = 150
"""Letters that a line below the picture has room for."""
HANDLE = 10
"""How many of them the piece of a line before a name takes."""
COLORS = [
    colormaps[name](i)
    for name, size in (("tab10", 10), ("Dark2", 8), ("Set2", 8))
    for i in range(size)
]
"""Different for 26 lines."""

Shown = Literal["alpha", "sigma", "log_snr", "drift", "diffusion", "weight", "density"]


def draw(curves: Sequence[Curves], others: Sequence[Curves], title: str) -> Figure:
    """The picture.

    Args:
        curves: of each process.
        others: of a process that is there already, with other objectives.
        title: what all of them have in common.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    (path, snr, weight), (drift, diffusion, density) = figure.subplots(2, 3)
    _over_time(path, curves, "alpha")
    _over_time(path, curves, "sigma", "--")
    _finish(path, "alpha (solid), sigma (dashed)", "x = alpha x0 + sigma eps")
    _frame(path, [*_values(curves, "alpha"), *_values(curves, "sigma")], cut=0.0)
    _over_time(snr, curves, "log_snr")
    _finish(snr, "log-SNR λ", "λ = log(alpha² / sigma²)")
    _frame(snr, _values(curves, "log_snr"), cut=0.02, disparity=float("inf"))
    _over_time(drift, curves, "drift")
    _finish(drift, "drift f of dx = f x dt + g dW", "f, per unit of time")
    _frame(drift, _values(curves, "drift"), cut=0.05)
    _over_time(diffusion, curves, "diffusion")
    _finish(diffusion, "diffusion g of dx = f x dt + g dW", "g, per square root of time")
    _frame(diffusion, _values(curves, "diffusion"), cut=0.05)
    _over_level(weight, [*curves, *others], "weight")
    _finish(weight, "effective weight W(λ) of errors of eps", "share of its largest")
    weight.set_yscale("log")
    weight.set_ylim(LIGHTEST, 2)
    _over_level(density, [*curves, *others], "density")
    _finish(density, "how often training sees λ", "density p(λ)")
    density.set_ylim(bottom=0)
    figure.suptitle(title)
    labels = [fill(one.label, WIDTH) for one in (*curves, *others)]
    lines = [path.plot([], [], label=label, **_pen(i))[0] for i, label in enumerate(labels)]
    longest = max(len(line) for label in labels for line in label.splitlines())
    columns = max(1, min(len(lines), 4, WIDTH // (longest + HANDLE)))
    figure.legend(handles=lines, loc="outside lower center", ncols=columns)
    return figure


def _over_time(axes: Axes, curves: Sequence[Curves], name: Shown, style: str = "-") -> None:
    """One line for each process; over shares of the process where times mean different things."""
    alike = all(one.span[1] == 1 and one.span[0] < MARGIN for one in curves)
    for i, one in enumerate(curves):
        times = one.t if alike else one.share
        axes.plot(times.tolist(), _gaps(getattr(one, name)), style, **_pen(i))
    axes.set_xlim(0, 1)
    axes.set_xlabel("time t" if alike else "time, as a share of each process")


def _over_level(axes: Axes, curves: Sequence[Curves], name: Shown) -> None:
    for i, one in enumerate(curves):
        axes.plot(one.levels.tolist(), _gaps(getattr(one, name)), **_pen(i))
    shown = torch.cat([one.levels[one.seen] for one in curves])
    if len(shown):
        axes.set_xlim(float(shown.min()) - 1, float(shown.max()) + 1)
    axes.set_xlabel("log-SNR λ (noise on the left, data on the right)")


def _pen(place: int) -> dict[str, Any]:
    """How the line of a process looks."""
    return {"color": COLORS[place % len(COLORS)], "linewidth": max(1.0, WIDEST - 0.6 * place)}


def _finish(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title)
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)


def _frame(
    axes: Axes, values: Sequence[Tensor], *, cut: float, disparity: float = DISPARITY
) -> None:
    """Fit the frame to the curves, except for their steepest parts, which it cuts off.

    Args:
        axes: what is framed.
        values: the curves, each at equal distances of time.
        cut: share of a curve that may lie above the frame, and as much below.
        disparity: of sizes, beyond which the axis is logarithmic.
    """
    shares = torch.tensor([cut, 1 - cut], dtype=torch.float64)
    ends = [one[one.isfinite()].quantile(shares) for one in values if one.isfinite().any()]
    if not ends:
        return
    low, high = float(torch.stack(ends).min()), float(torch.stack(ends).max())
    sizes = sorted(size for one in ends if (size := float(one.abs().max())) > 0)
    room = MARGIN * (high - low) or 1.0
    if sizes and sizes[-1] > disparity * sizes[0]:
        axes.set_yscale("asinh", linear_width=sizes[0])
        axes.yaxis.set_major_locator(AsinhLocator(sizes[0], numticks=6))
        low, high = min(1.3 * low, -MARGIN * sizes[0]), max(1.3 * high, MARGIN * sizes[0])
        axes.set_ylim(low, high)
    else:
        axes.set_ylim(low - room, high + room)


def _values(curves: Sequence[Curves], name: Shown) -> list[Tensor]:
    """The curves at equal distances of time."""
    return [getattr(one, name)[one.even] for one in curves]


def _gaps(values: Tensor) -> list[float]:
    """The values for a line that has gaps where they are not finite."""
    return values.masked_fill(~values.isfinite(), float("nan")).tolist()
