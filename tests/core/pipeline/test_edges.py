"""Edits of hardly any noise, ways up by singlestep methods, and data without a density."""

import pytest
import torch

from diffx_core import ComponentError, ConfigError, DataSpec, Pipeline
from diffx_core.testing.oracle import MixtureDenoiser
from diffx_samplers.restart import Restart
from diffx_schedulers.edm import EDM
from diffx_schedulers.vp import VP


def mixture(process):
    return Pipeline(MixtureDenoiser(process), DataSpec((2,)), dtype=torch.float64)


@pytest.mark.parametrize("strength", [0.1, 0.2, 0.5])
def test_an_edit_restarts_with_no_more_noise_than_it_began_with(strength):
    pipeline = mixture(VP())
    x = pipeline.sample(64, nfe=20)
    changed = pipeline.edit(x, strength, sampler=Restart())
    spread = strength / (1 - strength)
    assert float((changed - x).square().mean().sqrt()) < 2 * spread


def test_less_noise_than_a_process_has_is_refused():
    pipeline = mixture(EDM())
    x = pipeline.sample(2, nfe=20)
    with pytest.raises(ConfigError, match=r"strength 0.001 is less noise than EDM has"):
        pipeline.edit(x, 0.001)


@pytest.mark.parametrize("sampler", ["dpm_solver", "heun", "ddim"])
def test_ways_up_stay_near_the_noise_that_there_is(sampler):
    pipeline = mixture(VP())
    x = pipeline.sample(64, nfe=20)
    latent = pipeline.encode(x, sampler=sampler)
    assert float(latent.abs().max()) < 5
    assert float(latent.std()) == pytest.approx(1, abs=0.25)


def test_a_log_likelihood_that_is_no_number_is_reported():
    pipeline = mixture(VP())
    with pytest.raises(ComponentError, match=r"log-likelihood of \[1\] is not finite"):
        pipeline.log_likelihood(torch.tensor([[0.0, 0.0], [0.0, float("nan")]]))
