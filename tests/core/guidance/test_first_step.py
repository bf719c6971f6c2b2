"""The analytic first step saves one call and, from pure noise, loses next to nothing."""

import pytest
import torch

from diffx_core import AnalyticFirstStep, NoiseSource, sample
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser, MixtureDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun
from diffx_samplers.rk45 import RK45

NOISE = NoiseSource(0, range(64), dtype=torch.float64)
PROCESSES = pytest.mark.parametrize("process", REFERENCE_PROCESSES, ids=lambda p: type(p).__name__)


@PROCESSES
def test_for_data_without_a_mean_it_is_the_model(process):
    """Then the linear estimate is exact, and so are the samples."""
    model = GaussianDenoiser(process, mean=0.0, std=0.5)
    found = sample(DDIM(steps=7), AnalyticFirstStep(model, sigma_data=0.5), (2,), noise=NOISE)
    assert torch.allclose(found, sample(DDIM(steps=7), model, (2,), noise=NOISE), atol=1e-10)


@pytest.mark.parametrize(("sampler", "calls"), [(DDIM(steps=7), 6), (Heun(steps=7), 12)])
def test_one_call_of_the_network_is_saved(sampler, calls):
    model = GaussianDenoiser(ReferenceVP())
    sample(sampler, AnalyticFirstStep(model), (2,), noise=NOISE)
    assert len(model.calls) == calls


@PROCESSES
def test_what_it_adds_to_the_error_of_a_step_is_small(process):
    """The data have a mean of -0.08, which nothing is known of at first."""
    model = MixtureDenoiser(process)
    exact = sample(DDIM(steps=4000, grid="flow"), model, (2,), noise=NOISE)
    plain, saved = (
        (sample(DDIM(steps=10, grid="flow"), one, (2,), noise=NOISE) - exact).square().mean().sqrt()
        for one in (model, AnalyticFirstStep(model, sigma_data=0.9))
    )
    assert float(saved) < 1.1 * float(plain)


def test_other_times_are_asked_of_the_model():
    model = GaussianDenoiser(ReferenceVP())
    first = AnalyticFirstStep(model)
    x = torch.ones(2, 2, dtype=torch.float64)
    for t in (0.5, torch.full((2,), 0.5)):
        assert torch.equal(first(x, t).x0, model(x, t).x0)
    first.prepare([0.5, 0.2], x.device)
    assert not torch.equal(first(x, 0.5).x0, model(x, 0.5).x0)
    assert torch.equal(first(x, 0.2).x0, model(x, 0.2).x0)


def test_where_the_times_are_not_known_nothing_is_answered():
    model = GaussianDenoiser(ReferenceVP())
    plain, first = (
        sample(RK45(), one, (2,), noise=NOISE) for one in (model, AnalyticFirstStep(model))
    )
    assert torch.equal(plain, first)
