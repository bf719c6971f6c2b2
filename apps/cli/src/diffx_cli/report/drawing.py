"""Charts as SVG, with the values for whoever points at them.

Coordinates are those of the view box, which is as wide as a chart is on a telephone: its letters
can be read there, and are larger elsewhere. Colours are classes that the style sheet knows.
"""

import json
from collections.abc import Iterator, Sequence

from attrs import frozen
from markupsafe import Markup

from diffx_cli.report.axis import Axis, short, written
from diffx_cli.report.chart import Chart, Curve, Style
from diffx_cli.report.series import thinned

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 50, 388, 10, 212
"""The frame of the curves."""
LETTER = 6.2
"""Width of a letter, about."""


def svg(chart: Chart) -> Markup:
    """The picture of a chart."""
    return _Drawn(chart).svg()


@frozen
class _Drawn:
    """A chart while it is drawn."""

    chart: Chart

    def svg(self) -> Markup:
        chart = self.chart
        label = f"{chart.title}: {self._summary()}"
        head = Markup(
            '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" data-frame="{}" data-curves="{}">'
        )
        frame = json.dumps([LEFT, RIGHT, TOP, BOTTOM, *self._ends()])
        points = json.dumps([one.points for one in self._thin()], separators=(",", ":"))
        body = Markup("").join([*self._axes(), *self._lines(), *self._curves()])
        return head.format(WIDTH, HEIGHT, label, frame, points) + body + Markup("</svg>")

    def _thin(self) -> list[Curve]:
        return [
            Curve(
                one.label, [_rounded(point) for point in thinned(one.points)], one.tone, one.style
            )
            for one in self.chart.curves
        ]

    @property
    def _across(self) -> Axis:
        chart = self.chart
        values = [x for one in chart.curves for x, _ in one.points]
        return Axis.over(values, log=chart.log_x, room=0.04 if chart.log_x else 0.0)

    @property
    def _up(self) -> Axis:
        values = [y for one in self.chart.curves for _, y in one.points]
        levels = [y for y, _ in self.chart.levels]
        return Axis.over([*values, *levels], log=self.chart.log_y)

    def _ends(self) -> list[float]:
        across, up = self._across, self._up
        ends = (across.low, across.high, float(across.log), up.low, up.high, float(up.log))
        return [float(f"{one:.8g}") for one in ends]

    def _axes(self) -> Iterator[Markup]:
        across, up = self._across, self._up
        heights = up.ticks()
        for value, label in zip(heights, written(heights), strict=True):
            y = _at(up, value, BOTTOM, TOP)
            yield Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, RIGHT)
            text = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>')
            yield text.format(LEFT - 6, round(y + 4, 1), label)
        places, before = self.chart.at or across.ticks(), float(-WIDTH)
        for value, label in zip(places, written(places), strict=True):
            x = _at(across, value, LEFT, RIGHT)
            if x - before < LETTER * (len(label) + 2):
                continue
            before = x
            yield Markup('<path class="tick" d="M{} {}v4"/>').format(x, BOTTOM)
            last = x > RIGHT - LETTER * len(label) / 2
            yield Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                RIGHT + 6 if last else x, BOTTOM + 16, "end" if last else "middle", label
            )
        yield Markup('<path class="axis" d="M{0} {2}V{3}H{1}"/>').format(LEFT, RIGHT, TOP, BOTTOM)
        middle = (LEFT + RIGHT) / 2
        name = Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>')
        yield name.format(middle, HEIGHT - 4, self.chart.x)

    def _lines(self) -> Iterator[Markup]:
        for value, label in self.chart.marks:
            x = _at(self._across, value, LEFT, RIGHT)
            line = Markup('<path class="mark" d="M{} {}V{}"><title>{}</title></path>')
            yield line.format(x, TOP, BOTTOM, label)
        for value, label in self.chart.levels:
            y = _at(self._up, value, BOTTOM, TOP)
            line = Markup('<path class="level" d="M{} {}H{}"><title>{}</title></path>')
            yield line.format(LEFT, y, RIGHT, label)

    def _curves(self) -> Iterator[Markup]:
        across, up = self._across, self._up
        hue = "ramp" if self.chart.ramp else "tone"
        for one in self._thin():
            places = [(_at(across, x, LEFT, RIGHT), _at(up, y, BOTTOM, TOP)) for x, y in one.points]
            name = Markup('<path class="curve {}-{} {}" d="{}"/>')
            yield name.format(hue, one.tone, one.style, _path(places, one.style))

    def _summary(self) -> str:
        """The curves in words, for whoever does not see them."""
        said = (
            f"{one.label} from {short(one.points[0][1])} to {short(one.points[-1][1])}"
            for one in self.chart.curves
        )
        return "; ".join(said)


def _at(axis: Axis, value: float, begin: int, end: int) -> float:
    return round(begin + axis.share(value) * (end - begin), 1)


def _path(places: Sequence[tuple[float, float]], style: Style) -> str:
    """The way of a curve; a dot for each place where that is all there is, or wanted."""
    if style == "dots" or len(places) == 1:
        return "".join(f"M{x:g} {y:g}h0" for x, y in places)
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places)


def _rounded(point: tuple[float, float]) -> tuple[float, float]:
    x, y = point
    return (float(f"{x:.7g}"), float(f"{y:.5g}"))
