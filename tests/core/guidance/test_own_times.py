"""Samplers that take each sample at times of its own, and guidance that needs one for all."""

import pytest
import torch

from diffx_core import (
    DPS,
    AnalyticFirstStep,
    AnnealedCondition,
    Autoguidance,
    ClassifierFreeGuidance,
    ClassifierGuidance,
    ConfigError,
    DataSpec,
    GuidanceOptions,
    Mask,
    NoiseSource,
    PiGDM,
    Pipeline,
    PlusPlus,
    Projected,
    Replacement,
    Rescaled,
    SwappedProcess,
)
from diffx_core.testing.oracle import MixtureDenoiser, ReferenceFlow, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.parallel import Parallel
from diffx_samplers.rk45 import RK45

NOISE, MASK = NoiseSource(0, range(2)), Mask(torch.tensor([1.0, 0.0, 1.0]))
OWN = pytest.mark.parametrize("sampler", [RK45(), Parallel(steps=5)], ids=["rk45", "parallel"])


def measured(kind):
    return lambda inner: kind(inner, operator=MASK, measurement=torch.zeros(3))


REFUSED = {
    "interval": (GuidanceOptions(scale=2.0, interval=(0.1, 2.0)), "guidance in an interval"),
    "plusplus": (GuidanceOptions(scale=0.5, rule="plusplus"), r"the guidance PlusPlus\(scale=0.5"),
    "projected": (GuidanceOptions(scale=2.0, rule="projected"), "the guidance Projected"),
    "annealed": (lambda inner: AnnealedCondition(inner, noise=NOISE), "annealing a condition"),
    "dps": (measured(DPS), "reconstruction by DPS"),
    "pigdm": (measured(PiGDM), "reconstruction by PiGDM"),
    "replacement": (
        lambda inner: Replacement(inner, mask=MASK, measurement=torch.zeros(3), noise=NOISE),
        "inpainting by Replacement",
    ),
    "inside": (
        lambda inner: Autoguidance(
            AnalyticFirstStep(ClassifierFreeGuidance(inner, PlusPlus(0.5))),
            2.0,
            weak=MixtureDenoiser(ReferenceVP()),
        ),
        "the guidance PlusPlus",
    ),
    "weak": (
        lambda inner: Autoguidance(inner, 2.0, weak=measured(DPS)(MixtureDenoiser(ReferenceVP()))),
        "reconstruction by DPS",
    ),
    "swapped": (
        lambda inner: SwappedProcess(measured(DPS)(inner), ReferenceFlow()),
        "reconstruction by DPS",
    ),
}


@pytest.fixture
def pipeline():
    return Pipeline(MixtureDenoiser(ReferenceVP()), DataSpec((3,), num_classes=2))


@OWN
@pytest.mark.parametrize(("guidance", "what"), REFUSED.values(), ids=REFUSED)
def test_what_needs_one_time_is_refused_before_anything_is_drawn(pipeline, sampler, guidance, what):
    name = type(sampler).__name__
    message = f"{what}.* needs the same time for all samples, and the sampler {name} takes each"
    with pytest.raises(ConfigError, match=message):
        pipeline.drawing(2, sampler=sampler, guidance=guidance, label=1)
    assert pipeline.denoiser.calls == []
    assert pipeline.sample(2, sampler=DDIM(steps=2), guidance=guidance, label=1).isfinite().all()


ALLOWED = {
    "plain": GuidanceOptions(scale=2.0),
    "rescale": GuidanceOptions(scale=2.0, rule="rescale"),
    "no momentum": GuidanceOptions(scale=2.0, rule="projected", momentum=0.0),
    "idle": lambda inner: ClassifierFreeGuidance(inner, 1.0, (0.1, 2.0)),
    "auto": lambda inner: Autoguidance(inner, Rescaled(2.0), weak=MixtureDenoiser(ReferenceVP())),
    "idle rule": lambda inner: ClassifierFreeGuidance(inner, Projected(1.0)),
    "classifier": lambda inner: ClassifierGuidance(
        inner, log_probability=lambda x, t, cond: -x.square().sum(1)
    ),
}


@OWN
@pytest.mark.parametrize("guidance", ALLOWED.values(), ids=ALLOWED)
def test_what_knows_any_times_is_drawn(pipeline, sampler, guidance):
    x = pipeline.sample(2, sampler=sampler, guidance=guidance, label=1)
    assert x.isfinite().all()
