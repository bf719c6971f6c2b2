"""The mixture oracle against Gaussian data, against differences and at the ends of the process."""

import pytest
import torch

from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser, MixtureDenoiser

PROCESSES = pytest.mark.parametrize(
    "scheduler", REFERENCE_PROCESSES, ids=lambda s: type(s).__name__
)
POINTS = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]


@PROCESSES
def test_a_mixture_of_one_is_gaussian(scheduler):
    one = MixtureDenoiser(scheduler, weights=(1.0,), means=(0.7,), stds=(0.5,))
    gaussian = GaussianDenoiser(scheduler)
    x = POINTS * float(scheduler.sigma(torch.tensor(0.6)))
    for t in (0.6, torch.linspace(0.1, 0.9, 13, dtype=torch.float64)):
        for end in ("x0", "eps"):
            assert torch.allclose(getattr(one(x, t), end), getattr(gaussian(x, t), end), atol=1e-12)
    assert torch.allclose(one.flow(x, 0.6, 0.1), gaussian.flow(x, 0.6, 0.1), atol=1e-12)


@PROCESSES
def test_the_flow_has_the_velocity_of_the_ode(scheduler):
    denoiser, t, dt = MixtureDenoiser(scheduler), 0.4, 1e-5
    time = torch.tensor(t, dtype=torch.float64)
    x = POINTS * float(scheduler.sigma(time))
    found = (denoiser.flow(x, t, t + dt) - denoiser.flow(x, t, t - dt)) / (2 * dt)
    rates = float(scheduler.alpha_rate(time)), float(scheduler.sigma_rate(time))
    assert torch.allclose(found, denoiser(x, t).mix(*rates), rtol=1e-6, atol=1e-8)


@PROCESSES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ends_are_finite_at_both_ends(scheduler, dtype):
    x = POINTS.to(dtype)
    for t in (scheduler.t_min, scheduler.t_max):
        estimate = MixtureDenoiser(scheduler)(x, t)
        assert estimate.x0.dtype == dtype
        assert estimate.x0.isfinite().all()
        assert estimate.eps.isfinite().all()
