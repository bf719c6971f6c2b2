"""Guidance from two estimates, beyond plain extrapolation."""

import math

import pytest
import torch

from diffx_core import (
    Autoguidance,
    ClassifierFreeGuidance,
    Condition,
    ConfigError,
    NoiseSource,
    PlusPlus,
    Projected,
    Rescaled,
    sample,
)
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVE, ReferenceVP
from diffx_samplers.ddim import DDIM

GOOD, BAD = GaussianDenoiser(ReferenceVP(), 0.7, 0.5), GaussianDenoiser(ReferenceVP(), 0.1, 0.9)
X = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)


def guided(rule, **options):
    return Autoguidance(GOOD, rule, weak=BAD, **options)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.5])
def test_autoguidance_extrapolates_from_the_weak_to_the_strong_model(scale):
    found = guided(scale)(X, 0.4)
    for end in ("x0", "eps"):
        strong, weak = getattr(GOOD(X, 0.4), end), getattr(BAD(X, 0.4), end)
        assert torch.allclose(getattr(found, end), weak + scale * (strong - weak), atol=1e-12)


def test_models_of_different_processes_cannot_guide_each_other():
    with pytest.raises(ConfigError, match="same process"):
        Autoguidance(GOOD, 2.0, weak=GaussianDenoiser(ReferenceVE()))


def test_a_rescaled_estimate_has_the_contrast_of_the_strong_one():
    found = guided(Rescaled(3.0, phi=1.0))(X, 0.4).x0
    assert torch.allclose(found.std(1), GOOD(X, 0.4).x0.std(1), rtol=1e-12)
    plain = guided(3.0)(X, 0.4).x0
    assert torch.allclose(guided(Rescaled(3.0, phi=0.0))(X, 0.4).x0, plain, rtol=1e-12)


def test_cfg_plus_plus_guides_the_data_and_keeps_the_noise_of_the_weak_model():
    found = guided(PlusPlus(0.6))(X, 0.4)
    assert torch.allclose(found.x0, torch.lerp(BAD(X, 0.4).x0, GOOD(X, 0.4).x0, 0.6), atol=1e-12)
    assert torch.allclose(found.eps, BAD(X, 0.4).eps, atol=1e-12)
    both = 0.3 * found.x0 + 0.8 * found.eps
    assert torch.allclose(found.mix(0.3, 0.8), both, atol=1e-12)


def test_projected_guidance_without_its_brakes_is_extrapolation():
    rule = Projected(2.5, momentum=0.0, norm=math.inf, parallel=1.0)
    assert torch.allclose(guided(rule)(X, 0.4).x0, guided(2.5)(X, 0.4).x0, atol=1e-12)


def test_projected_guidance_moves_across_the_strong_estimate_only():
    strong = GOOD(X, 0.4).x0
    moved = guided(Projected(2.5))(X, 0.4).x0 - strong
    assert torch.allclose((moved * strong).sum(1), torch.zeros(4, dtype=X.dtype), atol=1e-12)
    assert moved.abs().max() > 1e-3


def test_projected_guidance_moves_no_further_than_its_norm():
    moved = guided(Projected(2.0, norm=1e-3))(X, 0.4).x0 - GOOD(X, 0.4).x0
    assert float(moved.square().mean(1).sqrt().max()) <= 1e-3 * (1 + 1e-12)


def test_momentum_is_forgotten_between_runs():
    model = guided(Projected(2.0, momentum=-0.5))
    draws = [
        sample(DDIM(steps=4), model, (3,), noise=NoiseSource(0, range(2), dtype=X.dtype))
        for _ in range(2)
    ]
    assert torch.equal(*draws)


def test_guidance_acts_inside_its_interval_alone():
    model = guided(3.0, interval=(0.5, 2.0))
    levels = torch.tensor([3.0, 1.0, 0.2], dtype=torch.float64)
    for t, inside in zip(
        ReferenceVP().time_of(-2 * levels.log()).tolist(), (False, True, False), strict=True
    ):
        plain, pushed = GOOD(X, t).x0, guided(3.0)(X, t).x0
        assert torch.allclose(model(X, t).x0, pushed if inside else plain, atol=1e-12)


@pytest.mark.parametrize("interval", [(1.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_an_interval_that_holds_nothing_is_refused(interval):
    with pytest.raises(ConfigError, match="interval"):
        guided(3.0, interval=interval)


def test_wrappers_compose():
    class Told(GaussianDenoiser):
        """A model whose mean is its label."""

        def __call__(self, x, t, cond=None):
            mean = cond.label[:, None].double() if cond and cond.label is not None else 0.0
            return GaussianDenoiser(self.scheduler, mean)(x, t)

    label = Condition(torch.tensor([0, 1, 2, 1]))
    told = ClassifierFreeGuidance(Told(ReferenceVP()), 2.0)
    both = Autoguidance(told, 1.5, weak=BAD)(X, 0.4, label).x0
    assert torch.allclose(both, torch.lerp(BAD(X, 0.4).x0, told(X, 0.4, label).x0, 1.5))
