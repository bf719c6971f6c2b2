"""The oracles know the answer, at both ends as well as between."""

import pytest
import torch

from diffx_core.testing import REFERENCE_PROCESSES, PointsDenoiser
from diffx_core.testing.oracle import ReferenceFlow

POINTS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
X = torch.tensor([[0.3, 0.2], [0.9, -0.1], [-3.0, 4.0]], dtype=torch.float64)
PROCESSES = pytest.mark.parametrize(
    "scheduler", REFERENCE_PROCESSES, ids=lambda s: type(s).__name__
)


@PROCESSES
@pytest.mark.parametrize("t", [0.4, 0.6, 0.9])
def test_points_are_weighed_by_their_likelihood(scheduler, t):
    time = torch.tensor(t, dtype=torch.float64)
    law = torch.distributions.Normal(scheduler.alpha(time) * POINTS.double(), scheduler.sigma(time))
    likelihood = law.log_prob(X[:, None]).sum(2).exp()
    expected = likelihood @ POINTS.double() / likelihood.sum(1, keepdim=True)
    estimate = PointsDenoiser(scheduler, POINTS)(X, t)
    assert torch.allclose(estimate.x0, expected, rtol=1e-10, atol=1e-12)
    path = scheduler.alpha(time) * estimate.x0 + scheduler.sigma(time) * estimate.eps
    assert torch.allclose(path, X, rtol=1e-13)


@PROCESSES
def test_a_time_for_each_example_is_the_same_as_one_at_a_time(scheduler):
    times = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    denoiser = PointsDenoiser(scheduler, POINTS)
    together = denoiser(X, times)
    for i, t in enumerate(times.tolist()):
        alone = denoiser(X[i : i + 1], t)
        assert torch.allclose(together.x0[i], alone.x0[0], rtol=1e-14)
        assert torch.allclose(together.eps[i], alone.eps[0], rtol=1e-13, atol=1e-14)


def test_without_data_every_point_is_as_likely_and_x_is_noise():
    estimate = PointsDenoiser(ReferenceFlow(), POINTS)(X, 1.0)
    assert torch.allclose(estimate.x0, POINTS.double().mean(0).expand(3, 2), rtol=1e-15)
    assert torch.equal(estimate.eps, X)


def test_without_noise_the_nearest_point_is_certain():
    estimate = PointsDenoiser(ReferenceFlow(), POINTS)(X, 0.0)
    assert estimate.x0.tolist() == [[0, 0], [1, 0], [0, 2]]
    assert torch.equal(estimate.eps, torch.zeros_like(X))


def test_little_noise_neither_overflows_nor_loses_a_point():
    x = POINTS.double() + 1e-9
    estimate = PointsDenoiser(ReferenceFlow(), POINTS)(x, 1e-9)
    assert torch.equal(estimate.x0, POINTS.double())
    assert estimate.eps.isfinite().all()


def test_no_perturbation_of_the_answer_has_a_lower_loss():
    """E |x0 - D(x)|^2 over the points, and over noise by quadrature, is least at D."""
    t = torch.tensor(0.6, dtype=torch.float64)
    points = torch.tensor([[-1.0], [0.4], [1.5]], dtype=torch.float64)
    grid = torch.linspace(-8, 8, 801, dtype=torch.float64)
    weight = (-(grid**2) / 2).exp()
    x = (0.4 * points + 0.6 * grid).flatten()[:, None]
    target = points.expand(3, 801).flatten()[:, None]
    best = PointsDenoiser(ReferenceFlow(), points)(x, float(t)).x0

    def loss(answer):
        return float(((answer - target).square()[:, 0] * weight.repeat(3)).sum())

    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        a, b, c = torch.randn(3, generator=generator, dtype=torch.float64).tolist()
        assert loss(best) < loss(best + 0.1 * (a * (b * x + c).sin()))
