"""Predictor-corrector: any one-step method, with Langevin steps of a known law."""

import math

import pytest
import torch

from diffx_core import BrownianSource, NoiseSource, sample
from diffx_core.testing import GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceVP
from diffx_core.testing.sampler_laws import window
from diffx_samplers.predictor_corrector import PredictorCorrector


class TestPredictorCorrector(SamplerSuite):
    def component(self):
        return PredictorCorrector()


class TestPredictorCorrectorEulerMaruyama(SamplerSuite):
    def component(self):
        return PredictorCorrector(predictor="euler_maruyama", corrector_steps=2)


class TestPredictorCorrectorDDIM(SamplerSuite):
    def component(self):
        return PredictorCorrector(predictor="ddim")


class TestPredictorAlone(SamplerSuite):
    def component(self):
        return PredictorCorrector(corrector_steps=0)


class TestLargeVariance(SamplerSuite):
    def component(self):
        return PredictorCorrector(predictor="large")


class TestVelocity(SamplerSuite):
    def component(self):
        return PredictorCorrector(predictor="euler")


def test_a_correction_is_a_langevin_step(process):
    plan, denoiser = window(process, 3), GaussianDenoiser(process)
    x, z = (NoiseSource(3, [k], dtype=torch.float64).normal((50,), 0) for k in (0, 1))
    alpha, sigma = plan.alpha[1], plan.sigma[1]
    row = PredictorCorrector(snr=0.2).correction(alpha, sigma)
    estimate = denoiser(x, plan.times[1])
    h = 2 * (0.2 * sigma) ** 2
    expected = x - h / sigma * estimate.eps + math.sqrt(2 * h) * z
    found = estimate.mix(row.x0, row.eps) + row.noise * z
    assert torch.allclose(found, expected, rtol=1e-10)


def test_the_stationary_variance_of_the_corrector_is_the_known_one(process):
    """At one level the chain has variance v / (1 - h / (2 v)): a fixed point of the recursion."""
    plan = window(process, 3)
    alpha, sigma = plan.alpha[1], plan.sigma[1]
    denoiser = GaussianDenoiser(process, mean=0.0, std=0.5)
    v = float(denoiser.variance(torch.tensor(plan.times[1], dtype=torch.float64)))
    row = PredictorCorrector(snr=0.16).correction(alpha, sigma)
    unit = denoiser(torch.ones(1, 1, dtype=torch.float64), plan.times[1])
    slope = float(unit.mix(row.x0, row.eps))
    variance = v
    for _ in range(5000):
        variance = slope**2 * variance + row.noise**2
    h = 2 * (0.16 * sigma) ** 2
    assert variance == pytest.approx(v / (1 - h / (2 * v)), rel=1e-10)


def test_a_correction_keeps_the_marginal_to_the_second_order_of_its_size(process):
    """One Langevin step from the exact law of variance v has v + h^2 / v."""
    plan = window(process, 3)
    denoiser = GaussianDenoiser(process, mean=0.0)
    v = float(denoiser.variance(torch.tensor(plan.times[1], dtype=torch.float64)))
    unit = denoiser(torch.ones(1, 1, dtype=torch.float64), plan.times[1])
    for snr in (0.2, 0.1, 0.05):
        row = PredictorCorrector(snr=snr).correction(plan.alpha[1], plan.sigma[1])
        variance = float(unit.mix(row.x0, row.eps)) ** 2 * v + row.noise**2
        h = 2 * (snr * plan.sigma[1]) ** 2
        assert variance - v == pytest.approx(h**2 / v, rel=1e-8)


def test_corrections_are_independent_of_the_path_that_the_predictor_follows():
    """With noise that is a path, corrections must not draw the increment of the step again."""
    sampler, denoiser = PredictorCorrector(steps=40), GaussianDenoiser(ReferenceVP())
    drawn = [
        float(sample(sampler, denoiser, (4096,), noise=source).std())
        for source in (
            NoiseSource(0, [0], dtype=torch.float64),
            BrownianSource(0, [0], dtype=torch.float64),
        )
    ]
    assert drawn[1] == pytest.approx(drawn[0], rel=0.05)  # standard errors of 1.1 % each
