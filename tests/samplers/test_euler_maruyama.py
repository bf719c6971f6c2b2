"""Euler-Maruyama: the reverse SDE with any amount of noise, in both forms."""

import math

import pytest
import torch
from attrs import evolve

from diffx_core import NoiseSource, Plan, sample
from diffx_core.testing import SAMPLER_LAWS, GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_core.testing.probe import law_error
from diffx_core.testing.sampler_laws import window
from diffx_samplers.ddim import DDIM
from diffx_samplers.euler_maruyama import EulerMaruyama, exponents

FUNCTIONS = ["reverse_sde", "sigma", "sin2", "constant", "cosine"]


class TestEulerMaruyama(SamplerSuite):
    def component(self):
        return EulerMaruyama()


@pytest.mark.parametrize(
    "law", [one for one in SAMPLER_LAWS if "order" not in one.name], ids=lambda one: one.name
)
def test_the_classic_form_obeys_every_law_but_that_on_the_order(law):
    law.check(EulerMaruyama(form="classic"))


@pytest.mark.parametrize("std", [0.25, 0.5])
@pytest.mark.parametrize("scheduler", [ReferenceVP(), ReferenceFlow()], ids=["vp", "flow"])
def test_the_classic_form_is_of_first_order(scheduler, std):
    """For the variance-exploding process too, but its error changes sign there."""
    errors = [
        law_error(EulerMaruyama(form="classic"), GaussianDenoiser(scheduler, std=std), plan)
        for plan in (window(scheduler, 160), window(scheduler, 320))
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(1, abs=0.05)


class TestSigma(SamplerSuite):
    def component(self):
        return EulerMaruyama(stochasticity="sigma")


class TestSin2(SamplerSuite):
    def component(self):
        return EulerMaruyama(stochasticity="sin2", eta=0.5)


class TestConstant(SamplerSuite):
    def component(self):
        return EulerMaruyama(stochasticity="constant", eta=0.5)


class TestCosineClassic(SamplerSuite):
    def component(self):
        return EulerMaruyama(stochasticity="cosine", form="classic")


class TestWithoutNoise(SamplerSuite):
    def component(self):
        return EulerMaruyama(eta=0.0)


@pytest.mark.parametrize("scheduler", [ReferenceVP(), ReferenceVE()], ids=["vp", "ve"])
def test_the_classic_form_is_andersons_reverse_sde(scheduler):
    plan, denoiser = window(scheduler, 50), GaussianDenoiser(scheduler)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None] * plan.sigma[0]
    z = torch.ones_like(x)
    sampler = EulerMaruyama(form="classic")
    state = sampler.start(plan)
    for i in (0, 20, 49):
        found, _ = sampler.step(denoiser, x, i, plan, state, lambda: z)
        t = torch.tensor(plan.times[i], dtype=torch.float64)
        dt = plan.times[i] - plan.times[i + 1]
        f, g = float(scheduler.drift(t)), float(scheduler.diffusion(t))
        score = -denoiser(x, plan.times[i]).eps / plan.sigma[i]
        expected = x - dt * (f * x - g**2 * score) + g * math.sqrt(dt) * z
        assert torch.allclose(found, expected, rtol=1e-10)


def test_the_exponential_form_of_the_reverse_sde_is_ancestral_sampling(process):
    plan = Plan.of(process, process.time_of(torch.linspace(-9, 9, 12, dtype=torch.float64)))
    for found, expected in zip(EulerMaruyama().table(plan), DDIM(eta=1.0).table(plan), strict=True):
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("stochasticity", FUNCTIONS)
def test_every_function_is_the_same_sde_for_every_process(walks, stochasticity):
    ratios = torch.logspace(1, -1.3, 7, dtype=torch.float64)
    plans = [walks.plan_through(s, ratios) for s in (ReferenceVP(), ReferenceVE(), ReferenceFlow())]
    sampler = EulerMaruyama(stochasticity=stochasticity)
    tables = [sampler.table(plan) for plan in plans]
    for i in range(6):
        scaled = [
            [one / plan.alpha[i + 1] for one in table[i]]
            for plan, table in zip(plans, tables, strict=True)
        ]
        assert scaled[1] == pytest.approx(scaled[0], rel=1e-9)
        assert scaled[2] == pytest.approx(scaled[0], rel=1e-9)


def test_the_integrals_that_have_a_closed_form_are_exact():
    plan = Plan.of(ReferenceFlow(), torch.tensor([0.9, 0.3, 0.01, 1e-4], dtype=torch.float64))
    plan = evolve(plan, alpha=(0.1, 0.7, 0.99, 0.9999), sigma=(0.9, 0.3, 0.01, 1e-4))
    s = plan.times
    steps = [(s[i], s[i + 1]) for i in range(3)]
    assert exponents(plan, "sigma") == pytest.approx([math.log(a / b) for a, b in steps], rel=1e-12)
    constant = [1 / b - 1 / a for a, b in steps]
    assert exponents(plan, "constant") == pytest.approx(constant, rel=1e-12)


@pytest.mark.parametrize("stochasticity", FUNCTIONS)
def test_both_forms_agree_as_steps_become_small(stochasticity):
    plan = window(ReferenceVP(), 4000)
    forms = [EulerMaruyama(stochasticity=stochasticity, form=f) for f in ("exponential", "classic")]
    first, second = (torch.tensor(form.table(plan), dtype=torch.float64) for form in forms)
    assert torch.allclose(first[:, :2], second[:, :2], atol=2e-5)  # the square of a step
    assert torch.allclose(first[:, 2], second[:, 2], rtol=0.05)


def test_eta_scales_the_squared_noise_of_a_small_step():
    plan = window(ReferenceVP(), 4000)
    whole, quarter = (EulerMaruyama(eta=eta).table(plan)[2000].noise for eta in (1.0, 0.25))
    assert quarter == pytest.approx(whole / 2, rel=1e-2)


@pytest.mark.parametrize("stochasticity", ["reverse_sde", "sigma"])
@pytest.mark.parametrize("form", ["exponential", "classic"])
@pytest.mark.parametrize("latest", [1.0, 0.999], ids=["at the end", "just before"])
def test_euler_maruyama_does_not_explode_next_to_a_singularity(stochasticity, form, latest):
    scheduler = ReferenceFlow()
    sampler = EulerMaruyama(stochasticity=stochasticity, form=form)
    plan = Plan.of(scheduler, torch.linspace(latest, 0, 201, dtype=torch.float64))
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    drawn = sample(sampler, GaussianDenoiser(scheduler), (2048,), noise=noise, plan=plan)
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.05)
