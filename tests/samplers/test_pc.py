"""Predictor-corrector: any one-step method, with Langevin steps of a known law."""

import math

import pytest
import torch
from attrs import evolve

from diffx_core import BrownianSource, NoiseSource, Plan, sample
from diffx_core.testing import GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceVP
from diffx_core.testing.probe import law_error
from diffx_core.testing.sampler_laws import window
from diffx_samplers.predictor_corrector import PREDICTORS, PredictorCorrector


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


class TestHeun(SamplerSuite):
    def component(self):
        return PredictorCorrector(predictor="heun")


class TestStochasticHeunAlone(SamplerSuite):
    def component(self):
        return PredictorCorrector(predictor="sde_heun", corrector_steps=0)


class TestCorrectionsByNorms(SamplerSuite):
    def component(self):
        return PredictorCorrector(step_size="norms", corrector_steps=2)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_without_corrections_it_is_the_predictor(predictor, process):
    noise, denoiser = NoiseSource(0, range(3), dtype=torch.float64), GaussianDenoiser(process)
    found = sample(
        PredictorCorrector(predictor=predictor, corrector_steps=0, steps=6),
        denoiser,
        (2,),
        noise=noise,
    )
    alone = evolve(PREDICTORS[predictor], steps=6)
    assert torch.equal(found, sample(alone, denoiser, (2,), noise=noise))


@pytest.mark.parametrize("corrections", [0, 1, 3])
@pytest.mark.parametrize("predictor", PREDICTORS)
def test_every_correction_costs_one_call(predictor, corrections):
    sampler = PredictorCorrector(predictor=predictor, corrector_steps=corrections, steps=5)
    denoiser = GaussianDenoiser(ReferenceVP())
    sample(sampler, denoiser, (1,), noise=NoiseSource(0, [0], dtype=torch.float64))
    predictions = 9 if predictor in {"heun", "sde_heun"} else 5
    assert len(denoiser.calls) == sampler.nfe == predictions + 4 * corrections


@pytest.mark.parametrize("step_size", ["level", "norms"])
def test_a_sample_is_the_same_alone_and_among_64(step_size, process):
    sampler = PredictorCorrector(step_size=step_size, steps=20, corrector_steps=2)
    denoiser = GaussianDenoiser(process)
    many, one = (
        sample(sampler, denoiser, (3,), noise=NoiseSource(0, indices, dtype=torch.float64))
        for indices in (range(64), [17])
    )
    assert torch.equal(many[17], one[0])


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


@pytest.mark.parametrize("predictor", ["ddim", "ancestral", "sde_heun"])
def test_a_step_and_its_corrections_keep_the_marginal_to_the_second_order(predictor, process):
    """From an exact law: one step of size h and corrections of size h^2 / v leave O(h^2)."""

    def error(h):
        ratios = torch.tensor([1.0, math.exp(-h), math.exp(-2 * h)], dtype=torch.float64)
        plan = Plan.of(process, process.time_of(-2 * ratios.log()), clean=False)
        sampler = PredictorCorrector(predictor=predictor, snr=math.sqrt(h), corrector_steps=2)
        return law_error(sampler, GaussianDenoiser(process, mean=0.0), plan)

    coarse, fine = error(0.02), error(0.01)
    assert math.log2(coarse / fine) >= 1.9


def test_the_steps_of_each_sample_are_those_of_its_norms(process):
    """h = 2 (snr |z| / |score|)^2, with 16 more numbers of unit size in z and in eps."""
    plan = Plan.of(process, process.time_of(-2 * torch.tensor([1.0, 0.9, 0.8]).log().double()))
    denoiser = GaussianDenoiser(process, mean=0.0, std=0.5)
    noise, x = (NoiseSource(s, range(4), dtype=torch.float64).normal((200,), 0) for s in (1, 2))
    x, alone = x * plan.sigma[0], PredictorCorrector(corrector_steps=0, predictor="ddim")
    predicted, _ = alone.step(denoiser, x, 0, plan, alone.start(plan), lambda *_: noise)
    sampler = PredictorCorrector(step_size="norms", predictor="ddim", snr=0.2)
    both, _ = sampler.step(denoiser, x, 0, plan, sampler.start(plan), lambda *_: noise)
    eps = denoiser(predicted, plan.times[1]).eps
    of_z, of_eps = (torch.cat([one, torch.ones(4, 16)], dim=1).norm(dim=1) for one in (noise, eps))
    h = (2 * (0.2 * of_z / of_eps * plan.sigma[1]) ** 2)[:, None]
    expected = predicted - h / plan.sigma[1] * eps + (2 * h).sqrt() * noise
    assert torch.allclose(both, expected, rtol=1e-10)
    assert h.std() / h.mean() > 1e-3


def test_the_stationary_variance_of_steps_by_norms_is_the_known_one_in_many_dimensions(process):
    """|eps|^2 = d sigma^2 V / v^2 and |z|^2 = d, so h = 2 snr^2 v^2 / V and V = (1 + snr^2) v.

    2^17 numbers leave a standard error of 0.4 %; steps of the level would have V = 1.047 v.
    """
    plan = Plan.of(process, process.time_of(-2 * torch.tensor([0.6, 0.5, 0.4]).log().double()))
    denoiser = GaussianDenoiser(process, mean=0.0, std=0.5)
    v = float(denoiser.variance(torch.tensor(plan.times[1], dtype=torch.float64)))
    sampler = PredictorCorrector(step_size="norms", predictor="ddim", snr=0.3, corrector_steps=60)

    def noise(substep=0, span=None):
        return NoiseSource(substep, [0], dtype=torch.float64).normal((2**17,), 0)

    x, _ = sampler.step(denoiser, noise(99), 0, plan, sampler.start(plan), noise)
    assert float(x.square().mean()) / v == pytest.approx(1.09, abs=0.012)


def test_steps_by_norms_let_no_sample_of_the_plane_escape(process):
    """The bare ratio of norms has a standard deviation of 1.3 to 1.6, and a sample at 40."""
    sampler = PredictorCorrector(step_size="norms", steps=100)
    noise = NoiseSource(0, range(2048), dtype=torch.float64)
    found = sample(sampler, GaussianDenoiser(process), (2,), noise=noise)
    assert float(found.std()) == pytest.approx(0.5, rel=0.08)
    assert float((found - 0.7).abs().max()) < 3.0


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
