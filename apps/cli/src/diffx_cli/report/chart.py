"""Curves in a frame: what a chart shows."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from attrs import frozen

from diffx_cli.report.series import Points

Style = Literal["line", "faint", "dots", "dashed"]


@frozen
class Curve:
    """One curve.

    Args:
        label: what it is.
        points: of it.
        tone: which of the colours it has.
        style: how it is drawn; faint ones are behind another that says the same.
    """

    label: str
    points: Points
    tone: int = 0
    style: Style = "line"


@frozen
class Chart:
    """Curves in one frame.

    Args:
        title: what they show.
        curves: those with points; there is one at least.
        x: what the x axis is.
        about: a line below.
        log_x: whether the x axis is logarithmic.
        log_y: whether the y axis is; by default if the values suggest it.
        marks: x of vertical lines, each with what happened there.
        levels: y of horizontal lines, each with what it is.
        at: the x values that are written; by default round ones.
        ramp: whether the colours of the curves are an order, from first to last.
    """

    kind: ClassVar[str] = "chart"

    title: str
    curves: Sequence[Curve]
    x: str = "step"
    about: str = ""
    log_x: bool = False
    log_y: bool | None = None
    marks: Sequence[tuple[float, str]] = ()
    levels: Sequence[tuple[float, str]] = ()
    at: Sequence[float] | None = None
    ramp: bool = False

    @property
    def legend(self) -> list[tuple[str, str]]:
        """The class and the name of every curve."""
        hue = "ramp" if self.ramp else "tone"
        named = [(f"{hue}-{one.tone} {one.style}", one.label) for one in self.curves]
        return [*named, *(("level", label) for _, label in self.levels)]
