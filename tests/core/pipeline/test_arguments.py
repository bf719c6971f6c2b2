"""Arguments of the wrong kind are refused in one line, before the model is asked."""

import numpy as np
import pytest
import torch

from diffx_core import ConfigError, DataSpec, Pipeline
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM

X = torch.zeros(2, 3)


@pytest.fixture
def model():
    return GaussianDenoiser(ReferenceVP())


@pytest.fixture
def pipeline(model):
    return Pipeline(model, DataSpec((3,)))


@pytest.mark.parametrize("number", [np.int64, torch.tensor])
def test_whole_numbers_of_other_libraries_are_taken(pipeline, number):
    wanted = pipeline.sample(4, sampler=DDIM(), steps=3, seed=3, batch_size=2)
    n, steps, seed, batch = map(number, (4, 3, 3, 2))
    found = pipeline.sample(n, sampler=DDIM(), steps=steps, seed=seed, batch_size=batch)
    assert torch.equal(found, wanted)
    edited = pipeline.edit(X, 0.5, steps=number(3), seed=number(3))
    assert torch.equal(edited, pipeline.edit(X, 0.5, steps=3, seed=3))


@pytest.mark.parametrize("seed", [-1, 2**64, np.int64(-1)])
def test_a_seed_has_64_bits(pipeline, model, seed):
    for way in (
        lambda: pipeline.sample(2, seed=seed),
        lambda: pipeline.edit(X, 0.5, seed=seed),
        lambda: pipeline.interpolate(3, seed=seed),
        lambda: pipeline.log_likelihood(X, seed=seed),
    ):
        with pytest.raises(ConfigError, match=r"^seed must be"):
            way()
    assert model.calls == []
    assert pipeline.sample(2, seed=2**64 - 1, steps=2).isfinite().all()
