"""How points of the plane come out of the noise: scatter plots, moving and side by side."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from attrs import define
from PIL import Image
from torch import Tensor

from diffx_cli.picture.film import Film

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

SIDE, DPI = 4.0, 80
"""Inches of a plot of the moving picture, and dots in one."""
SMALL = 1.6
"""Inches of a plot of the strip."""
REACH = 1.15
"""How far plots reach, by the farthest sample in the end; what is farther off is not shown."""
TITLES = ("x", "expected data")


@define(eq=False)
class ScatterFilm(Film):
    """Collects the states of points (n, 2), and beside each what the model took its data for.

    Args:
        labels: of the samples; None if they have none.
    """

    labels: Sequence[int] | None = None

    def _taken(self, shown: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return shown

    def _pictures(self) -> Iterator[Image.Image]:
        kinds = len(self._frames[0])
        figure, plots = self._plots(1, kinds, SIDE)
        for axes, title in zip(plots, TITLES, strict=False):
            axes.set_title(title)
        dots = [self._scatter(axes, self._frames[0][k], 4) for k, axes in enumerate(plots)]
        for shown in self._frames:
            for drawn, points in zip(dots, shown, strict=True):
                drawn.set_offsets(points.numpy())
            yield _rendered(figure)

    def _strip(self) -> Image.Image:
        """Some of the states in a row, and below it the data behind each of them."""
        states = self._some()
        figure, plots = self._plots(len(states[0]), len(states), SMALL)
        rows = [points for kind in zip(*states, strict=True) for points in kind]
        for axes, points in zip(plots, rows, strict=True):
            axes.set(xticks=[], yticks=[])
            self._scatter(axes, points, 1)
        return _rendered(figure)

    def _plots(self, rows: int, columns: int, side: float) -> "tuple[Figure, list[Axes]]":
        from matplotlib.figure import Figure

        reach = REACH * max(float(self._frames[-1][0].abs().max()), self.spec.sigma_data)
        figure = Figure(figsize=(columns * side, rows * side), dpi=DPI, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        return figure, list(grid.flat)

    def _scatter(self, axes: "Axes", points: Tensor, size: float) -> "PathCollection":
        colour = None if self.labels is None else list(self.labels)
        horizontal, vertical = points.T.tolist()
        return axes.scatter(
            horizontal, vertical, s=size, c=colour, cmap=None if colour is None else "tab10"
        )


def _rendered(figure: "Figure") -> Image.Image:
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    return Image.open(stream).convert("RGB")
