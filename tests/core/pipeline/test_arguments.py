"""Arguments of the wrong kind are refused in one line, before the model is asked."""

from functools import partial

import numpy as np
import pytest
import torch

from diffx_core import (
    PREDICTIONS,
    Autoguidance,
    ClassifierFreeGuidance,
    Condition,
    ConfigError,
    DataSpec,
    Likelihood,
    NetworkDenoiser,
    NoiseSource,
    Pipeline,
    optimal_grid,
    sample,
)
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


REFUSED = {
    "too many steps": (
        lambda one: one.sample(2, sampler=DDIM(), steps=10**9),
        r"the sampler DDIM: 'steps' must be <= 100000: 1000000000",
    ),
    "no denoiser": (
        lambda one: one.sample(2, guidance=lambda denoiser: None),
        "what guidance <lambda> returns must be a Denoiser, got None",
    ),
    "a class that needs more": (
        lambda one: one.sample(2, guidance=ClassifierFreeGuidance),
        "guidance ClassifierFreeGuidance cannot be made of a denoiser alone, missing a required",
    ),
    "strength": (lambda one: one.edit(X, "a"), "strength must be from 0 to 1, got 'a'"),
    "no examples": (lambda one: one.edit("a", 0.5), "x must be a tensor or an array, got a str"),
    "nothing to encode": (lambda one: one.encode(None), "x must be a tensor or an array"),
    "method": (
        lambda one: one.log_likelihood(X, method="exact"),
        "method must be a Likelihood, got 'exact'",
    ),
    "method is a class": (
        lambda one: one.log_likelihood(X, method=Likelihood),
        r"method must be an object, not a class: Likelihood\(\)",
    ),
    "plan": (lambda one: one.drawing(2, plan=3), "plan must be a Plan, got 3"),
    "start": (lambda one: one.drawing(2, start="here"), "start must be a tensor or an array"),
    "path": (
        lambda one: one.load(None),
        "path must be the folder of a run or checkpoint, got",
    ),
    "condition": (
        lambda one: sample(
            DDIM(), one.denoiser, (3,), noise=NoiseSource(0, range(4)), cond=Condition(LABELS)
        ),
        "the label of the condition is of 3 samples, and 4 are drawn",
    ),
    "no noise": (
        lambda one: sample(DDIM(), one.denoiser, (3,), noise=None),
        "noise must be a Noise, got None",
    ),
    "noise is a class": (
        lambda one: sample(DDIM(), one.denoiser, (3,), noise=NoiseSource),
        r"noise must be an object, not a class: NoiseSource\(\)",
    ),
    "teacher": (
        lambda one: optimal_grid("heun", one.denoiser, (3,), steps=2, noise=NoiseSource(0, [0])),
        "teacher must be a Sampler, got 'heun'",
    ),
    "steps of a teacher": (
        lambda one: optimal_grid(DDIM(), one.denoiser, (3,), steps=2.5, noise=NoiseSource(0, [0])),
        "steps must be a whole number, got 2.5",
    ),
}
LABELS = torch.tensor([0, 1, 2])


@pytest.mark.parametrize(("way", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_of_the_wrong_kind_is_refused_in_one_line(pipeline, model, way, message):
    with pytest.raises(ConfigError, match=message) as refused:
        way(pipeline)
    assert len(refused.value.problems) == 1
    assert model.calls == []


def test_arrays_are_examples(pipeline):
    pipeline = Pipeline(pipeline.denoiser, DataSpec((3,), value_range=(-1.0, 1.0), levels=8))
    x = torch.linspace(-0.5, 0.5, 6).reshape(2, 3)
    for way in (
        lambda one: pipeline.edit(one, 0.0),
        lambda one: pipeline.edit(one, 0.5, sampler=DDIM(), steps=3),
        lambda one: pipeline.encode(one, sampler=DDIM(), steps=3),
        lambda one: pipeline.decode(one, sampler=DDIM(), steps=3),
        lambda one: pipeline.interpolate(3, between=one, sampler=DDIM(), steps=3),
        lambda one: pipeline.log_likelihood(one).total,
        pipeline.bits_per_dim,
        lambda one: pipeline.drawing(2, sampler=DDIM(), steps=3, start=one).samples(),
    ):
        assert torch.equal(way(x.numpy()), way(x))


class Told(torch.nn.Module):
    """A network that knows some labels."""

    def __init__(self, classes):
        super().__init__()
        self.told = torch.nn.Embedding(classes, 3)

    def forward(self, x, noise_label, cond):
        return x + self.told(cond.label)


def network(classes):
    return NetworkDenoiser(Told(classes), ReferenceVP(), PREDICTIONS["v"])


def test_a_weak_model_of_other_data_is_refused():
    pipeline = Pipeline(network(3), DataSpec((3,), num_classes=3))
    guidance = partial(Autoguidance, rule=2.0, weak=network(2))
    with pytest.raises(ConfigError, match=r"weak model .* cannot be asked .* same data"):
        pipeline.sample(3, guidance=guidance, label=[0, 1, 2], sampler=DDIM(), steps=2)
    guidance = partial(Autoguidance, rule=2.0, weak=network(3))
    found = pipeline.sample(3, guidance=guidance, label=[0, 1, 2], sampler=DDIM(), steps=2)
    assert found.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_samples_are_of_the_type_of_the_network(dtype):
    model, spec = network(3), DataSpec((3,), num_classes=3)
    with pytest.raises(ConfigError, match=f"the network is of torch.float32 and dtype is {dtype}"):
        Pipeline(model, spec, dtype=dtype)
    model.backbone.double()
    found = Pipeline(model, spec, dtype=torch.float64).sample(2, label=0, sampler=DDIM(), steps=2)
    assert found.dtype == torch.float64
