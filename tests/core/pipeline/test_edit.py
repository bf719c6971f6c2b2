"""SDEdit: how much of x is forgotten."""

import pytest
import torch

from diffx_core import ConfigError, DataSpec, Pipeline
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import MixtureDenoiser, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.euler_maruyama import EulerMaruyama
from diffx_schedulers.ddpm import DDPM

X = torch.linspace(-1.2, 1.2, 12, dtype=torch.float64).reshape(4, 3)
PROCESSES = pytest.mark.parametrize("process", REFERENCE_PROCESSES, ids=lambda p: type(p).__name__)
SAMPLERS = pytest.mark.parametrize(
    "sampler", [DDIM(steps=6), EulerMaruyama(steps=6)], ids=["ddim", "euler_maruyama"]
)


def pipeline_of(denoiser):
    return Pipeline(denoiser, DataSpec((3,)), dtype=torch.float64)


@PROCESSES
@SAMPLERS
def test_without_strength_nothing_changes_and_with_all_of_it_x_is_forgotten(process, sampler):
    pipeline = pipeline_of(MixtureDenoiser(process))
    assert torch.equal(pipeline.edit(X, 0.0, sampler=sampler), X)
    drawn = pipeline.sample(4, sampler=sampler, seed=3)
    assert torch.equal(pipeline.edit(X, 1.0, sampler=sampler, seed=3), drawn)


@PROCESSES
@pytest.mark.parametrize("strength", [0.3, 0.6])
def test_strength_is_the_same_noise_for_every_process_and_takes_all_steps(process, strength):
    denoiser = GaussianDenoiser(process)
    pipeline_of(denoiser).edit(X, strength, sampler=DDIM(steps=6))
    assert len(denoiser.calls) == 6
    first = torch.tensor(denoiser.calls[0], dtype=torch.float64)
    alpha, sigma = float(process.alpha(first)), float(process.sigma(first))
    assert sigma / (alpha + sigma) == pytest.approx(strength, rel=1e-9)


def test_the_result_is_the_flow_of_x_with_noise():
    """DDIM in many steps: x0 of Gaussian data is that of alpha x + sigma z, for the same z."""
    process = ReferenceVP()
    denoiser = GaussianDenoiser(process, 0.7, 0.5)
    pipeline = pipeline_of(denoiser)
    found = pipeline.edit(X, 0.4, sampler=DDIM(steps=2000, grid="flow"), seed=1)
    t = denoiser.calls[0]
    at = torch.tensor(t, dtype=torch.float64)
    z = next(pipeline.drawing(4, seed=1).states()).estimate.x  # what sampling begins with
    start = process.alpha(at) * X + process.sigma(at) * z / process.prior_std()
    torch.testing.assert_close(found, denoiser.flow(start, t, process.t_min), rtol=0, atol=2e-3)


def test_a_process_in_discrete_time_begins_at_one_of_its_times():
    denoiser = GaussianDenoiser(DDPM())
    pipeline_of(denoiser).edit(X, 0.5, sampler=DDIM(steps=6))
    assert {*denoiser.calls} <= {*DDPM().grid().tolist()}


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_another_strength_is_refused(strength):
    with pytest.raises(ConfigError, match="strength must be from 0 to 1"):
        pipeline_of(GaussianDenoiser(ReferenceVP())).edit(X, strength)
