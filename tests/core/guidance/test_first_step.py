"""The analytic first step saves one call and, from pure noise, loses next to nothing."""

import pytest
import torch

from diffx_core import (
    PREDICTIONS,
    AnalyticFirstStep,
    DataSpec,
    GuidanceOptions,
    NetworkDenoiser,
    NoiseSource,
    Pipeline,
    sample,
)
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser, MixtureDenoiser
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun
from diffx_samplers.rk45 import RK45
from diffx_schedulers.ddpm import DDPM
from diffx_schedulers.edm import EDM
from diffx_schedulers.vp import VP

UNGUIDED = GuidanceOptions()


def first_step(inner):
    return AnalyticFirstStep(inner, sigma_data=0.9)


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
    first.prepare([1.0, 0.5], x.device)
    assert not torch.equal(first(x, 1.0).x0, model(x, 1.0).x0)
    assert torch.equal(first(x, 0.5).x0, model(x, 0.5).x0)
    first.prepare([0.5, 0.2], x.device)
    assert torch.equal(first(x, 0.5).x0, model(x, 0.5).x0)


ALL = [*REFERENCE_PROCESSES, VP(), EDM(), DDPM(), DDPM(zero_terminal_snr=True)]


@pytest.mark.parametrize("grid", ["uniform", "flow", "karras"])
@pytest.mark.parametrize("process", ALL, ids=str)
def test_the_latest_time_of_every_process_is_known(process, grid):
    model = GaussianDenoiser(process)
    sample(DDIM(steps=5, grid=grid), AnalyticFirstStep(model), (2,), noise=NOISE)
    assert len(model.calls) == 4


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_the_latest_time_that_a_network_can_be_read_at_is_one_too(prediction):
    calls = []

    def network(x, label, cond):
        calls.append(label)
        return 0.1 * x

    for process in (DDPM(zero_terminal_snr=True), ReferenceFlow()):
        calls.clear()
        model = NetworkDenoiser(network, process, PREDICTIONS[prediction])
        sample(DDIM(steps=5), AnalyticFirstStep(model), (2,), noise=NOISE)
        assert len(calls) == 4


@pytest.mark.parametrize("process", ALL[:-1], ids=str)
def test_an_edit_begins_with_data_and_asks_the_model(process):
    x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
    pipeline = Pipeline(MixtureDenoiser(process), DataSpec((2,)), dtype=torch.float64)
    how = {"sampler": DDIM(steps=5), "seed": 1}
    plain, first = (pipeline.edit(x, 0.4, guidance=one, **how) for one in (UNGUIDED, first_step))
    assert torch.equal(plain, first)


def test_the_way_to_noise_asks_the_model():
    """Its last question is about much noise, but there are data behind it to go back to."""
    model = MixtureDenoiser(ReferenceVP())
    x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
    plain, first = (
        Pipeline(one, DataSpec((2,)), dtype=torch.float64).encode(x, sampler=DDIM(steps=9))
        for one in (model, AnalyticFirstStep(model))
    )
    assert torch.equal(plain, first)


def test_where_the_times_are_not_known_nothing_is_answered():
    model = GaussianDenoiser(ReferenceVP())
    plain, first = (
        sample(RK45(), one, (2,), noise=NOISE) for one in (model, AnalyticFirstStep(model))
    )
    assert torch.equal(plain, first)
