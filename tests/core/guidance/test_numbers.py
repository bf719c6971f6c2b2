"""Numbers of guidance that cannot work: refused where they are given, and no network's fault."""

import math

import numpy as np
import pytest
import torch

from diffx_core import (
    DPS,
    AnnealedCondition,
    Autoguidance,
    Blur,
    ClassifierFreeGuidance,
    ClassifierGuidance,
    ComponentError,
    Condition,
    ConfigError,
    DataSpec,
    Extrapolation,
    Mask,
    NoiseSource,
    PiGDM,
    Pipeline,
    PlusPlus,
    Projected,
    Replacement,
    Rescaled,
    sample,
    states,
)
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun

MODEL = GaussianDenoiser(ReferenceVP())
NOISE = NoiseSource(0, range(2))
MASK = torch.tensor([1.0, 0.0, 1.0])
Y = torch.zeros(3)
NAN = torch.tensor([0.0, math.nan, 0.0])

REFUSED = {
    "nothing to guide": (
        lambda: ClassifierFreeGuidance(None, 2.0),
        "inner must be a Denoiser, got None",
    ),
    "nothing to guide away from": (
        lambda: Autoguidance(MODEL, 2.0, weak=None),
        "weak must be a Denoiser, got None",
    ),
    "scale is nan": (lambda: ClassifierFreeGuidance(MODEL, math.nan), "'scale' must be"),
    "scale is infinite": (
        lambda: ClassifierFreeGuidance(MODEL, math.inf),
        "'scale' must be <= 100",
    ),
    "scale is text": (lambda: ClassifierFreeGuidance(MODEL, "2"), "'scale' must be a number"),
    "negative scale": (lambda: Extrapolation(-1.0), "'scale' must be >= 0"),
    "rescaled": (lambda: Rescaled(2.0, phi=1.5), "'phi' must be <= 1"),
    "plusplus is nan": (lambda: PlusPlus(math.nan), "'scale' must be"),
    "plusplus": (lambda: PlusPlus(1.5), "'scale' must be <= 1"),
    "momentum": (lambda: Projected(2.0, momentum=1.0), "'momentum' must be < 1"),
    "norm": (lambda: Projected(2.0, norm=0.0), "'norm' must be > 0"),
    "parallel": (lambda: Projected(2.0, parallel=None), "'parallel' must be a number: None"),
    "interval": (
        lambda: ClassifierFreeGuidance(MODEL, 2.0, 3.0),
        "an interval of guidance must be two numbers: 3.0",
    ),
    "interval of text": (
        lambda: ClassifierFreeGuidance(MODEL, 2.0, ("1", "2")),
        "an interval of guidance must be two numbers",
    ),
    "classifier": (
        lambda: ClassifierGuidance(MODEL, log_probability=lambda x, t, c: x.sum(1), scale=math.nan),
        "'scale' must be finite",
    ),
    "annealing": (
        lambda: AnnealedCondition(MODEL, noise=NOISE, scale=math.inf),
        "'scale' must be finite",
    ),
    "annealing without noise": (lambda: AnnealedCondition(MODEL, noise=None), "noise must be a"),
    "step": (
        lambda: DPS(MODEL, operator=MASK, measurement=Y, step=math.inf),
        "'step' must be finite",
    ),
    "noise_std": (
        lambda: PiGDM(MODEL, operator=MASK, measurement=Y, noise_std=math.nan),
        "'noise_std' must be",
    ),
    "measurement of dps": (
        lambda: DPS(MODEL, operator=MASK, measurement=NAN),
        "measurement has numbers that are not finite",
    ),
    "measurement of replacement": (
        lambda: Replacement(MODEL, mask=MASK, measurement=NAN, noise=NOISE),
        "measurement has numbers that are not finite",
    ),
    "no measurement": (
        lambda: PiGDM(MODEL, operator=MASK, measurement=None),
        "measurement must be a tensor or an array, got a NoneType",
    ),
    "no noise": (
        lambda: Replacement(MODEL, mask=MASK, measurement=Y, noise=None),
        "noise must be a Noise, got None",
    ),
    "mask is text": (
        lambda: Replacement(MODEL, mask="all", measurement=Y, noise=NOISE),
        "mask must be a tensor or an array, got a str",
    ),
    "operator is a class": (
        lambda: DPS(MODEL, operator=Blur, measurement=Y),
        r"operator must be an object, not a class: Blur\(\)",
    ),
    "blur": (lambda: Blur(math.inf), "'width' must be finite"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_where_it_is_given(make, message):
    with pytest.raises(ConfigError, match=message) as refused:
        make()
    assert len(refused.value.problems) == 1


def test_tensors_and_arrays_are_masks_and_measurements():
    spec = DataSpec((3,))
    pipeline, how = Pipeline(MODEL, spec), {"sampler": DDIM(steps=3)}
    for of in (torch.as_tensor, np.asarray):
        mask, y = of(MASK), of(Y)
        for guided, wanted in (
            (
                lambda d, mask=mask, y=y: Replacement(d, mask=mask, measurement=y, noise=NOISE),
                lambda d: Replacement(d, mask=Mask(MASK), measurement=Y, noise=NOISE),
            ),
            (
                lambda d, mask=mask, y=y: PiGDM(d, operator=mask, measurement=y),
                lambda d: PiGDM(d, operator=Mask(MASK), measurement=Y),
            ),
        ):
            found = pipeline.sample(2, guidance=guided, **how)
            assert torch.equal(found, pipeline.sample(2, guidance=wanted, **how))


class Breaking(GaussianDenoiser):
    """Says infinity."""

    def __call__(self, x, t, cond=None):
        estimate = super().__call__(x, t, cond)
        estimate.output = estimate.output / 0
        return estimate


def pushed(model):
    """Guidance by a classifier whose slope is not finite."""
    return ClassifierGuidance(model, log_probability=lambda x, t, c: (x / 0).sum(1))


WHO = {
    "guidance": (pushed(MODEL), "guidance"),
    "guidance around guidance": (Autoguidance(pushed(MODEL), 2.0, weak=MODEL), "guidance"),
    "network": (Breaking(ReferenceVP()), "backbone"),
    "guided network": (ClassifierFreeGuidance(Breaking(ReferenceVP()), 2.0), "backbone"),
    "weak network": (Autoguidance(MODEL, 2.0, weak=Breaking(ReferenceVP())), "backbone"),
}


@pytest.mark.parametrize(("model", "kind"), WHO.values(), ids=WHO)
@pytest.mark.parametrize("sampler", [DDIM(steps=3), Heun(steps=3)], ids=["ddim", "heun"])
def test_who_made_numbers_that_are_not_finite_is_named(model, kind, sampler):
    cond = Condition(torch.tensor([0, 1]))
    for way in (
        lambda: sample(sampler, model, (3,), noise=NOISE, cond=cond),
        lambda: list(states(sampler, model, (3,), noise=NOISE, cond=cond, watched=True)),
    ):
        with pytest.raises(
            ComponentError, match=r"not finite.* at step 1, which leads to"
        ) as caught:
            way()
        assert caught.value.kind == kind


def test_samples_carry_no_gradient_and_states_do():
    weight = torch.ones((), requires_grad=True)

    class Weighted(GaussianDenoiser):
        def __call__(self, x, t, cond=None):
            estimate = super().__call__(x, t, cond)
            estimate.output = estimate.output * weight
            return estimate

    model, sampler = Weighted(ReferenceVP()), DDIM(steps=3)
    seen = []
    drawn = sample(sampler, model, (3,), noise=NOISE, observe=seen.append)
    assert not drawn.requires_grad
    assert not any(one.x.requires_grad for one in seen)
    *_, last = states(sampler, model, (3,), noise=NOISE)
    (slope,) = torch.autograd.grad(last.x.sum(), weight)
    assert slope.isfinite()


def test_numbers_of_other_libraries_are_numbers():
    x = torch.ones(2, 3)
    scaled = Autoguidance(MODEL, np.float32(2.0), (np.float64(0.1), np.int64(5)), weak=MODEL)
    assert torch.equal(scaled(x, 0.5).x0, MODEL(x, 0.5).x0)
    pipeline = Pipeline(MODEL, DataSpec((3,)))
    assert torch.equal(pipeline.edit(x, np.float32(0)), x)
