"""The exact denoiser of a finite set has the least loss, with every weighting and every prediction.

Behind one noisy x there may be each of the points, with a known probability. An objective that is
made to see this x and all that may be behind it gives the exact risk at x: no sampling error.
"""

import itertools
from typing import get_args

import pytest
import torch
from attrs import field, frozen

from diffx_core import PREDICTIONS, Batch, Level, NetworkDenoiser, Objective, Scheduler
from diffx_core.options import ObjectiveOptions, WeightingName
from diffx_core.testing.oracle import PointsDenoiser

POINTS = torch.randn(16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


@frozen(eq=False)
class Arranged(Scheduler):
    """The straight path at a single time, with the noise that carries every point to the same x."""

    time: float
    x: torch.Tensor = field()

    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t.clone()

    def grid(self):
        return torch.tensor([self.time], dtype=torch.float64)

    def noise(self, source, shape, step):
        return (self.x - (1 - self.time) * POINTS) / self.time


class Says(torch.nn.Module):
    """A network that means a given x0."""

    def __init__(self, scheduler, prediction, x0):
        super().__init__()
        self.scheduler, self.prediction, self.x0 = scheduler, prediction, x0

    def forward(self, x, noise_label, cond):
        level = Level(self.scheduler, self.scheduler.grid(), 1.0)
        p, q = self.prediction.target(level)
        eps = (self.scheduler.x - level.alpha * self.x0) / level.sigma
        return (p * self.x0 + q * eps).expand_as(x)


def risk(process, prediction, x0, **options):
    """The expected loss at x, of a network that means x0."""
    prediction = PREDICTIONS[prediction]
    denoiser = NetworkDenoiser(Says(process, prediction, x0), process, prediction)
    objective = Objective(ObjectiveOptions(prediction=prediction.name, times="uniform", **options))
    losses = objective.terms(denoiser, Batch(POINTS), 0).loss
    logits = -((process.x - (1 - process.time) * POINTS) ** 2).sum(1) / (2 * process.time**2)
    return float((logits.softmax(0) * losses).sum())


@pytest.mark.parametrize(
    ("weighting", "prediction"), list(itertools.product(get_args(WeightingName), PREDICTIONS))
)
def test_nothing_beats_the_softmax_over_the_points(weighting, prediction):
    source = torch.Generator().manual_seed(7)
    for time in (0.2, 0.5, 0.9):
        x = torch.randn(2, dtype=torch.float64, generator=source)
        process = Arranged(time, x)
        best = PointsDenoiser(process, POINTS)(x[None], time).x0[0]
        least = risk(process, prediction, best, weighting=weighting)
        curvature = []
        for _ in range(100 // 3 + 1):
            change = 0.3 * torch.randn(2, dtype=torch.float64, generator=source)
            more = risk(process, prediction, best + change, weighting=weighting) - least
            assert more > 0
            curvature.append(more / float(change.square().mean()))
        # The risk is a parabola whose width is the weight on the error of x0, and no more.
        assert max(curvature) == pytest.approx(min(curvature), rel=1e-6)


def test_the_optimum_of_l1_is_the_median():
    """In one of 16 places; the mean is elsewhere, and worse."""
    process = Arranged(0.9, torch.zeros(2, dtype=torch.float64))
    logits = -((0.1 * POINTS) ** 2).sum(1) / (2 * 0.9**2)
    weights = logits.softmax(0)
    order = POINTS.argsort(dim=0)
    median = torch.stack(
        [
            POINTS[order[:, i], i][int((weights[order[:, i]].cumsum(0) < 0.5).sum())]
            for i in range(2)
        ]
    )
    mean = weights @ POINTS
    at_median, at_mean = (risk(process, "v", x0, loss="l1") for x0 in (median, mean))
    assert at_median < at_mean
    source = torch.Generator().manual_seed(0)
    for _ in range(50):
        other = median + 0.3 * torch.randn(2, dtype=torch.float64, generator=source)
        assert risk(process, "v", other, loss="l1") >= at_median
