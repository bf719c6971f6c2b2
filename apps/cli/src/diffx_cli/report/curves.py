"""The charts of a run's figures."""

from collections.abc import Sequence
from typing import Any

from diffx_cli.report.axis import short
from diffx_cli.report.chart import Chart, Curve
from diffx_cli.report.gathered import Gathered
from diffx_cli.report.parts import Missing, Part
from diffx_cli.report.series import (
    Points,
    Row,
    lost,
    number,
    pace,
    points,
    smoothed,
    stretches,
    thinned,
)

BIN_POINTS = 150
"""Of a curve of one bin of noise levels, of which there are several."""
MOST_MARKS = 40


def losses(found: Gathered) -> list[Part]:
    """The loss of steps, as it was and smoothed, and that of held-out examples."""
    steps, held_out = points(found.rows, "loss"), points(found.rows, "validation_loss")
    mean = smoothed(steps)
    curves = [
        Curve("loss of a step", steps, 0, "faint" if mean else "line"),
        Curve("its mean", mean, 0),
        Curve("held-out examples", held_out, 1),
    ]
    shown = [one for one in curves if one.points]
    if not shown:
        return [Missing("No step has been logged yet, so there is no loss.")]
    about = "" if held_out else "No examples were held out (--validate.every measures them)."
    positive = all(y > 0 for one in shown for _, y in one.points)
    return [Chart("Loss", shown, log_y=positive, marks=_marks(found), about=about)]


def by_level(found: Gathered) -> list[Part]:
    """The loss of held-out examples by noise level: over the steps, and at a few of them."""
    looks = [row for row in found.rows if _bins(row)]
    if not looks:
        return [
            Missing(
                "The loss by noise level is that of held-out examples, and none were held out:"
                " --validate.every does."
            )
        ]
    last = _bins(looks[-1])
    over = [
        Curve(_range(one), thinned(curve, BIN_POINTS), _hue(i, last))
        for i, one in enumerate(last)
        if (curve := _of_bin(looks, i))
    ]
    chosen = dict.fromkeys((0, len(looks) // 2, len(looks) - 1))
    at = [
        Curve(f"step {looks[place]['step']}", profile, tone)
        for tone, place in zip((2, 1, 0), chosen, strict=False)
        if (profile := _profile(looks[place]))
    ]
    if not over or not at:
        return [Missing("The loss of held-out examples was never finite.")]
    about = "Each curve is a range of log-SNR: low ones are noise, high ones nearly data."
    return [
        Chart("Held-out loss by log-SNR", over, about=about, marks=_marks(found), ramp=True),
        Chart("Held-out loss over log-SNR", at, x="log-SNR: noise on the left, data on the right"),
    ]


def others(found: Gathered) -> list[Part]:
    """Learning rate, norm of the gradient, examples a second."""
    marks, rows = _marks(found), found.rows
    norms = points(rows, "grad_norm")
    mean = smoothed(norms)
    gradient = [Curve("of a step", norms, 0, "faint" if mean else "line"), Curve("mean", mean, 0)]
    clip = number(found.config.get("train.grad_clip"))
    levels = [] if clip is None else [(clip, f"clipped at {short(clip)}")]
    seen = max((y for _, y in norms), default=0.0)
    wanted: tuple[tuple[str, list[Curve], bool | None, list[tuple[float, str]]], ...] = (
        ("Learning rate", [Curve("learning rate", points(rows, "lr"), 0)], False, []),
        ("Norm of the gradient", gradient, None, levels if seen > 0.3 * (clip or 0) else []),
        ("Examples a second", [Curve("between two lines", pace(rows), 0)], False, []),
    )
    parts: list[Part] = []
    for title, curves, log, horizontal in wanted:
        shown = [one for one in curves if one.points]
        if shown:
            parts.append(Chart(title, shown, log_y=log, marks=marks, levels=horizontal))
        else:
            parts.append(Missing(f"{title}: nothing has been logged yet."))
    return parts


def _marks(found: Gathered) -> list[tuple[float, str]]:
    """Where the run was started again, and where something was not a number."""
    steps = [row["step"] for row in found.rows]
    if not steps:
        return []
    starts = [one[0]["step"] for one in stretches(found.rows)[1:]]
    marks = [(step, f"the run went on at step {step}") for step in starts]
    marks += [
        (step, f"the loss of step {step} was not finite") for step in lost(found.rows, "loss")
    ]
    return [one for one in marks if steps[0] <= one[0] <= steps[-1]][-MOST_MARKS:]


def _bins(row: Row) -> list[dict[str, Any]]:
    """The bins of a look at held-out examples; empty if the row is none."""
    bins = row.get("bins")
    if not isinstance(bins, list) or not bins:
        return []
    return bins if all(isinstance(one, dict) for one in bins) else []


def _range(one: dict[str, Any]) -> str:
    """The noise levels of a bin; an end that is not finite is beyond all others."""
    ends = (number(one.get(name)) for name in ("low", "high"))
    low, high = ("..." if end is None else f"{end:.1f}" for end in ends)
    return f"{low} to {high}"


def _of_bin(looks: Sequence[Row], place: int) -> Points:
    found = ((row["step"], _bins(row)) for row in looks)
    values = [(step, number(bins[place].get("loss"))) for step, bins in found if place < len(bins)]
    return [(step, value) for step, value in values if value is not None]


def _profile(look: Row) -> Points:
    values = (
        (number(one.get("low")), number(one.get("high")), number(one.get("loss")))
        for one in _bins(look)
    )
    return sorted(
        ((low + high) / 2, loss)
        for low, high, loss in values
        if low is not None and high is not None and loss is not None
    )


def _hue(place: int, bins: Sequence[object]) -> int:
    """One of eight colours in order, the last for the highest log-SNR."""
    return round(7 * place / max(1, len(bins) - 1))
