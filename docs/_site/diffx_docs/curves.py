"""What a noise process does, as a drawing: the shares of data and noise in x, and the log-SNR."""

from collections.abc import Iterable, Sequence

import torch

from diffx_core import Scheduler

POINTS = 121
WIDTH, HEIGHT, MARGIN = 300, 170, 36
HIGHEST = 12.0
"""Of the log-SNR that is shown: beyond, one of both can no longer be seen."""

Line = tuple[str, Sequence[float]]


def drawing(process: Scheduler) -> str:
    """Both panels as an element of HTML, in the colours of the page."""
    t = torch.linspace(process.t_min, process.t_max, POINTS, dtype=torch.float64)
    alpha, sigma = process.alpha(t), process.sigma(t)
    size = torch.hypot(alpha, sigma)
    shares = (("data", (alpha / size).tolist()), ("noise", (sigma / size).tolist()))
    log_snr = process.log_snr(t).clamp(-HIGHEST, HIGHEST)
    ends = (f"{process.t_min:g}", f"{process.t_max:g}")
    left = _panel("alpha and sigma, divided by the size of both", shares, (0.0, 1.0), ends)
    right = _panel("log-SNR", (("log-snr", log_snr.tolist()),), (-HIGHEST, HIGHEST), ends)
    return f'<div class="curves">\n{left}\n{right}\n</div>\n'


def _panel(
    title: str, lines: Iterable[Line], bounds: tuple[float, float], ends: tuple[str, str]
) -> str:
    wide, high = WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN
    low, top = bounds
    drawn = "".join(
        f'<polyline class="{name}" points="{_points(values, low, top)}"><title>{name}</title>'
        "</polyline>"
        for name, values in lines
    )
    floor, right = MARGIN + HEIGHT, MARGIN + WIDTH
    return (
        f'<svg viewBox="0 0 {wide} {high}" role="img" aria-label="{title} over time">'
        f'<rect class="frame" x="{MARGIN}" y="{MARGIN}" width="{WIDTH}" height="{HEIGHT}"/>'
        f'<text x="{wide / 2}" y="{MARGIN - 12}" text-anchor="middle">{title}</text>'
        f'<text x="{MARGIN}" y="{floor + 18}">t = {ends[0]}</text>'
        f'<text x="{right}" y="{floor + 18}" text-anchor="end">t = {ends[1]}</text>'
        f'<text x="{MARGIN - 6}" y="{MARGIN + 5}" text-anchor="end">{top:g}</text>'
        f'<text x="{MARGIN - 6}" y="{floor}" text-anchor="end">{low:g}</text>'
        f"{drawn}</svg>"
    )


def _points(values: Sequence[float], low: float, top: float) -> str:
    step = WIDTH / (len(values) - 1)
    return " ".join(
        f"{MARGIN + i * step:.1f},{MARGIN + HEIGHT * (top - one) / (top - low):.1f}"
        for i, one in enumerate(values)
    )
