"""Points in the plane as SVG."""

from collections.abc import Sequence

from markupsafe import Markup
from torch import Tensor

SIDE, GAP = 200, 12
"""Of a panel, and between two."""
TONES = 8
ROOM = 1.1
"""Of the frame, as a multiple of the farthest data."""


def reach(points: Tensor) -> float:
    """The half side of a frame around the origin that holds points (n, 2)."""
    return ROOM * max(float(points.abs().max()), 1e-6)


def scatter(
    panels: Sequence[Tensor], labels: Sequence[int] | None, half: float, alt: str
) -> Markup:
    """Panels of points (n, 2) side by side, in the colours of their labels.

    Args:
        panels: the points of each.
        labels: of the points; None for none.
        half: the half side of each frame.
        alt: what they show.
    """
    width = len(panels) * (SIDE + GAP) - GAP
    head = Markup('<svg class="scatter" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    parts = [head.format(width, SIDE, alt)]
    for i, points in enumerate(panels):
        left = i * (SIDE + GAP)
        frame = Markup('<rect class="frame" x="{}" y="0.5" width="{}" height="{}"/>')
        parts.append(frame.format(left + 0.5, SIDE - 1, SIDE - 1))
        parts.extend(_clouds(points, labels, half, left))
    return Markup("").join([*parts, Markup("</svg>")])


def _clouds(points: Tensor, labels: Sequence[int] | None, half: float, left: int) -> list[Markup]:
    """A path for each label: of lines without length, whose round ends are the points."""
    dots: dict[int, list[str]] = {}
    for i, (x, y) in enumerate(points.tolist()):
        if max(abs(x), abs(y)) > half:
            continue
        across = left + SIDE * (x / half + 1) / 2
        up = SIDE * (1 - y / half) / 2
        tone = 0 if labels is None else labels[i] % TONES
        dots.setdefault(tone, []).append(f"M{across:.1f} {up:.1f}h0")
    line = Markup('<path class="dot tone-{}" d="{}"/>')
    return [line.format(tone, "".join(found)) for tone, found in sorted(dots.items())]
