"""The samplers obey every law, and agree with each other wherever theory says so."""

import pytest
import torch
from attrs import evolve, frozen

from diffx_core import ConfigError, NoiseSource, Plan, sample
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
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
        x, state = DDIM().step(denoiser, x, i, plan, state, None)
    return x


def test_ddim_on_straight_lines_is_euler_on_the_velocity():
    scheduler, denoiser = ReferenceFlow(), GaussianDenoiser(ReferenceFlow())
    plan = Plan.of(scheduler, torch.linspace(1, 0.02, 9, dtype=torch.float64), clean=False)
    x = euler = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    state = DDIM().start(plan)
    for i in range(plan.steps):
        x, state = DDIM().step(denoiser, x, i, plan, state, None)
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
