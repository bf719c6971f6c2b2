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


class Breaking(MixtureDenoiser):
    """Says infinity where x is above ten."""

    def __call__(self, x, t, cond=None):
        estimate = super().__call__(x, t, cond)
        estimate.output = estimate.output * torch.where(x > 10, float("inf"), 1.0)
        return estimate


def test_a_log_likelihood_that_is_no_number_is_reported():
    pipeline = Pipeline(Breaking(VP()), DataSpec((2,)), dtype=torch.float64)
    with pytest.raises(ComponentError, match=r"log-likelihood of \[1\] is not finite"):
        pipeline.log_likelihood(torch.tensor([[0.0, 0.0], [0.0, 20.0]]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_x_that_is_not_finite_is_refused_and_nobody_is_blamed(bad):
    model = MixtureDenoiser(VP())
    pipeline = Pipeline(model, DataSpec((2,), value_range=(-2.0, 2.0), levels=4))
    x = torch.tensor([[0.0, 0.0], [0.0, bad]])
    for way in (
        lambda: pipeline.edit(x, 0.5),
        lambda: pipeline.edit(x, 0.0),
        lambda: pipeline.encode(x),
        lambda: pipeline.decode(x),
        lambda: pipeline.interpolate(3, between=x),
        lambda: pipeline.log_likelihood(x),
        lambda: pipeline.bits_per_dim(x),
        lambda: pipeline.drawing(2, start=x).samples(),
    ):
        with pytest.raises(ConfigError, match=r"not finite, in examples \[1\]"):
            way()
    assert model.calls == []
