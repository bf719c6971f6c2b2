"""The samplers obey every law, and agree with each other wherever theory says so."""

import math

import pytest
import torch
from attrs import evolve, frozen

from diffx_core import ConfigError, NoiseSource, Plan, sample
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_core.testing.probe import law_error, response
from diffx_core.testing.sampler_laws import window
from diffx_samplers.ddim import DDIM
from diffx_samplers.euler_maruyama import EulerMaruyama
from diffx_samplers.predictor_corrector import PredictorCorrector


class TestDDIM(SamplerSuite):
    def component(self):
        return DDIM()


class TestAncestral(SamplerSuite):
    def component(self):
        return DDIM(eta=1.0)


class TestHalfStochasticDDIM(SamplerSuite):
    def component(self):
        return DDIM(eta=0.5)


class TestEulerMaruyama(SamplerSuite):
    def component(self):
        return EulerMaruyama()


class TestEulerMaruyamaSigma(SamplerSuite):
    def component(self):
        return EulerMaruyama(stochasticity="sigma")


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


ALL = [DDIM(), DDIM(eta=1.0), EulerMaruyama(), PredictorCorrector()]
BY_NAME = pytest.mark.parametrize("sampler", ALL, ids=lambda s: f"{type(s).__name__}{s.stochastic}")


def noise_of(count):
    return NoiseSource(0, range(count), dtype=torch.float64)


def test_ddim_is_the_same_for_every_process_on_the_same_noise_ratios():
    ratios = torch.logspace(1, -1.3, 13, dtype=torch.float64)
    results = []
    for scheduler in REFERENCE_PROCESSES:
        plan = Plan.of(scheduler, scheduler.time_of(-2 * ratios.log()), clean=False)
        denoiser = GaussianDenoiser(scheduler)
        end = ddim_from_the_same_start(plan, denoiser)
        results.append(end / plan.alpha[-1])
    for other in results[1:]:
        assert torch.allclose(other, results[0], rtol=1e-11)


def ddim_from_the_same_start(plan, denoiser):
    """DDIM from the same x / alpha whatever the process."""
    state = DDIM().start(plan)
    x = torch.linspace(-5, 5, 7, dtype=torch.float64)[:, None] * plan.alpha[0]
    for i in range(plan.steps):
        x, state = DDIM().step(denoiser, x, i, plan, state, lambda substep: None)
    return x


def test_ddim_on_straight_lines_is_euler_on_the_velocity():
    scheduler, denoiser = ReferenceFlow(), GaussianDenoiser(ReferenceFlow())
    plan = Plan.of(scheduler, torch.linspace(1, 0.02, 9, dtype=torch.float64), clean=False)
    x = euler = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    state = DDIM().start(plan)
    for i in range(plan.steps):
        x, state = DDIM().step(denoiser, x, i, plan, state, lambda substep: None)
        estimate = denoiser(euler, plan.times[i])
        euler = euler + (plan.times[i + 1] - plan.times[i]) * (estimate.eps - estimate.x0)
    assert torch.allclose(x, euler, atol=1e-12)


@pytest.mark.parametrize("scheduler", [ReferenceVP(), ReferenceVE()], ids=["vp", "ve"])
def test_ancestral_ddim_has_the_posterior_variance(scheduler):
    plan = window(scheduler, 20)
    for i, row in enumerate(DDIM(eta=1.0).start(plan)):
        s, t = (torch.tensor(plan.times[j], dtype=torch.float64) for j in (i + 1, i))
        _, std = scheduler.kernel(s, t)
        assert row.noise == pytest.approx(float(std) * plan.sigma[i + 1] / plan.sigma[i], rel=1e-9)


@pytest.mark.parametrize("scheduler", [ReferenceVP(), ReferenceVE()], ids=["vp", "ve"])
def test_euler_maruyama_is_andersons_reverse_sde(scheduler):
    plan, denoiser = window(scheduler, 50), GaussianDenoiser(scheduler)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None] * plan.sigma[0]
    z = torch.ones_like(x)
    sampler = EulerMaruyama()
    state = sampler.start(plan)
    for i in (0, 20, 49):
        found, _ = sampler.step(denoiser, x, i, plan, state, lambda substep: z)
        t = torch.tensor(plan.times[i], dtype=torch.float64)
        dt = plan.times[i] - plan.times[i + 1]
        f, g = float(scheduler.drift(t)), float(scheduler.diffusion(t))
        score = -denoiser(x, plan.times[i]).eps / plan.sigma[i]
        expected = x - dt * (f * x - g**2 * score) + g * math.sqrt(dt) * z
        assert torch.allclose(found, expected, rtol=1e-10)


def test_ancestral_sampling_is_underdispersed_by_the_golden_amount():
    """N(0.7, 0.5^2) data, log grid of sigma / alpha from 10 to 0.05, 640 steps, exact prior law."""
    scheduler = ReferenceVE()
    plan, denoiser = window(scheduler, 640), GaussianDenoiser(scheduler)
    _, gain, noise = response(DDIM(eta=1.0), denoiser, plan)
    start, end = (
        float(denoiser.variance(torch.tensor(plan.times[j], dtype=torch.float64))) for j in (0, -1)
    )
    variance = gain**2 * start + float(noise.square().sum())
    assert variance / end - 1 == pytest.approx(-0.0081520, abs=1e-6)


def test_the_law_of_ancestral_sampling_converges_to_the_data():
    denoiser = GaussianDenoiser(ReferenceVP())
    errors = [law_error(DDIM(eta=1.0), denoiser, window(ReferenceVP(), n)) for n in (40, 80, 160)]
    assert errors[0] > errors[1] > errors[2]


@BY_NAME
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_steps_and_calls_are_what_they_are_declared_to_be(sampler, steps):
    sampler = evolve(sampler, steps=steps)
    denoiser = GaussianDenoiser(ReferenceVP())
    seen = []
    noise = noise_of(3)
    sample(sampler, denoiser, (2,), noise=noise, observe=lambda reached: seen.append(reached.step))
    assert seen == list(range(1, steps + 1))
    assert len(denoiser.calls) == sampler.nfe


@pytest.mark.parametrize("nfe", [1, 3, 9, 99])
def test_a_number_of_calls_is_met_exactly(nfe):
    assert PredictorCorrector().with_nfe(nfe).nfe == nfe
    assert DDIM().with_nfe(nfe).steps == nfe


def test_an_impossible_number_of_calls_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"exactly 10 network calls; 9 and 11 are possible"):
        PredictorCorrector().with_nfe(10)


@pytest.mark.parametrize("scheduler", REFERENCE_PROCESSES, ids=lambda s: type(s).__name__)
def test_a_correction_is_a_langevin_step(scheduler):
    plan, denoiser = window(scheduler, 3), GaussianDenoiser(scheduler)
    x, z = (NoiseSource(3, [k], dtype=torch.float64).normal((50,), 0) for k in (0, 1))
    alpha, sigma = plan.alpha[1], plan.sigma[1]
    row = PredictorCorrector(snr=0.2).correction(alpha, sigma)
    estimate = denoiser(x, plan.times[1])
    h = 2 * (0.2 * sigma) ** 2
    expected = x - h / sigma * estimate.eps + math.sqrt(2 * h) * z
    found = estimate.mix(row.x0, row.eps) + row.noise * z
    assert torch.allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("scheduler", REFERENCE_PROCESSES, ids=lambda s: type(s).__name__)
def test_the_stationary_variance_of_the_corrector_is_the_known_one(scheduler):
    """At one level the chain has variance v / (1 - h / (2 v)): a fixed point of the recursion."""
    plan = window(scheduler, 3)
    alpha, sigma = plan.alpha[1], plan.sigma[1]
    denoiser = GaussianDenoiser(scheduler, mean=0.0, std=0.5)
    v = float(denoiser.variance(torch.tensor(plan.times[1], dtype=torch.float64)))
    row = PredictorCorrector(snr=0.16).correction(alpha, sigma)
    unit = denoiser(torch.ones(1, 1, dtype=torch.float64), plan.times[1])
    slope = float(unit.mix(row.x0, row.eps))
    variance = v
    for _ in range(5000):
        variance = slope**2 * variance + row.noise**2
    h = 2 * (0.16 * sigma) ** 2
    assert variance == pytest.approx(v / (1 - h / (2 * v)), rel=1e-10)


@pytest.mark.parametrize("stochasticity", ["reverse_sde", "sigma"])
@pytest.mark.parametrize("latest", [1.0, 0.999], ids=["at the end", "just before"])
def test_euler_maruyama_does_not_explode_next_to_a_singularity(stochasticity, latest):
    scheduler = ReferenceFlow()
    sampler = EulerMaruyama(stochasticity=stochasticity)
    plan = Plan.of(scheduler, torch.linspace(latest, 0, 201, dtype=torch.float64))
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    drawn = sample(sampler, GaussianDenoiser(scheduler), (2048,), noise=noise, plan=plan)
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.05)


@frozen
class Odd(ReferenceVP):
    """A process whose noise is not Gaussian, so that it has no reverse SDE of the usual kind."""

    def offers(self):
        return frozenset()


@pytest.mark.parametrize("sampler", [EulerMaruyama(), PredictorCorrector(), DDIM(eta=0.3)])
def test_a_process_without_a_reverse_sde_is_refused(sampler):
    with pytest.raises(ConfigError, match=r"needs reverse_sde, which the scheduler Odd does not"):
        sample(sampler, GaussianDenoiser(Odd()), (2,), noise=noise_of(1))


def test_a_deterministic_sampler_asks_nothing_of_a_process():
    assert sample(DDIM(), GaussianDenoiser(Odd()), (2,), noise=noise_of(1)).isfinite().all()
