"""Ancestral sampling and Euler: the published methods, the published errors."""

import math

import pytest
import torch
from attrs import frozen

from diffx_core import Plan, Scheduler
from diffx_core.testing import SAMPLER_LAWS, GaussianDenoiser, MixtureDenoiser, SamplerSuite, probe
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_core.testing.probe import expectation
from diffx_core.testing.sampler_laws import window
from diffx_samplers.ddim import DDIM
from diffx_samplers.ddpm import DDPM
from diffx_samplers.euler import Euler
from diffx_samplers.euler_maruyama import EulerMaruyama
from diffx_samplers.heun import Heun
from diffx_samplers.sde_heun import SDEHeun


class TestDDPM(SamplerSuite):
    def component(self):
        return DDPM()


class TestLarge(SamplerSuite):
    def component(self):
        return DDPM(variance="large")


class TestEuler(SamplerSuite):
    def component(self):
        return Euler()


SPREADS = ("samples have the standard deviation of the data", "so have samples in the plane")


@pytest.mark.parametrize(
    "law", [one for one in SAMPLER_LAWS if one.name not in SPREADS], ids=lambda one: one.name
)
def test_euler_in_time_obeys_every_law_but_those_on_two_hundred_steps(law):
    """Steps of a few percent of sigma, straight in its logarithm, lose 12 % of the deviation."""
    law.check(Euler(coords="native"))


@frozen
class EDM(Scheduler):
    """The noise level is the time."""

    t_min = 0.002
    t_max = 80.0

    def alpha(self, t):
        return torch.ones_like(t)

    def sigma(self, t):
        return t.clone()


@frozen
class Linear(Scheduler):
    """DDPM's thousand levels, beta from 1e-4 to 0.02; t = i / 1000, log alpha linear in between."""

    def alpha(self, t):
        levels = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        log_alpha = torch.cat([torch.zeros(1), (-levels).log1p().cumsum(0)]) / 2
        place = t.to(torch.float64) * 1000
        below = place.floor().long().clamp(max=999)
        return torch.lerp(log_alpha[below], log_alpha[below + 1], place - below).exp()

    def sigma(self, t):
        return (1 - self.alpha(t) ** 2).sqrt()

    def grid(self):
        return torch.arange(1, 1001, dtype=torch.float64) / 1000


def variance_error(sampler, scheduler, times, clean):
    """The relative error of the variance for N(0.7, 0.5^2), from the exact law at the start."""
    denoiser, plan = GaussianDenoiser(scheduler), Plan.of(scheduler, times, clean=clean)
    _, variance = probe.law(sampler, denoiser, plan)
    true = denoiser.std**2
    if not clean:
        true = float(denoiser.variance(torch.tensor(plan.times[-1], dtype=torch.float64)))
    return variance / true - 1


def test_a_thousand_steps_of_ddpm_have_the_golden_errors():
    """The posterior variance falls short down to x0, the large one exceeds down to the first level.

    Between the levels alone, the two enclose the truth.
    """
    process = Linear()
    levels = process.grid().flip(0)
    to_data = torch.cat([levels, torch.zeros(1, dtype=torch.float64)])
    posterior = variance_error(DDPM(), process, to_data, clean=True)
    large = variance_error(DDPM(variance="large"), process, levels, clean=False)
    assert posterior == pytest.approx(-0.0154992, abs=1e-6)
    assert large == pytest.approx(0.0034095, abs=1e-6)


@pytest.mark.parametrize(("variance", "golden"), [("posterior", -0.0081520), ("large", 0.0083649)])
def test_ancestral_sampling_has_the_golden_error_on_a_logarithmic_grid(variance, golden):
    """sigma / alpha from 10 to 0.05 in 640 steps, from the exact law at the first level."""
    plan = window(ReferenceVE(), 640)
    times = torch.tensor(plan.times, dtype=torch.float64)
    found = variance_error(DDPM(variance=variance), ReferenceVE(), times, clean=False)
    assert found == pytest.approx(golden, abs=1e-6)


def test_ancestral_sampling_is_ddims_and_the_posterior_of_the_forward_kernel(process):
    plan = window(process, 20)
    assert DDPM().table(plan) == DDIM(eta=1.0).table(plan)
    for i, row in enumerate(DDPM().table(plan)):
        s, t = (torch.tensor(plan.times[j], dtype=torch.float64) for j in (i + 1, i))
        scale, std = (float(one) for one in process.kernel(s, t))
        ratio = plan.sigma[i + 1] / plan.sigma[i]
        assert row.noise == pytest.approx(std * ratio, rel=1e-9)
        assert row.eps == pytest.approx(scale * plan.sigma[i + 1] * ratio, rel=1e-9)
        assert row.x0 == plan.alpha[i + 1]


def test_the_large_variance_is_that_of_the_forward_kernel(process):
    plan = window(process, 20)
    for i, row in enumerate(DDPM(variance="large").table(plan)):
        s, t = (torch.tensor(plan.times[j], dtype=torch.float64) for j in (i + 1, i))
        assert row.noise == pytest.approx(float(process.kernel(s, t)[1]), rel=1e-9)


def test_the_large_variance_of_a_variance_exploding_process_is_reverse_diffusion():
    """Song et al., appendix E: x' = x + (sigma^2 - sigma'^2) score + sqrt(sigma^2 - sigma'^2) z."""
    scheduler, plan = ReferenceVE(), window(ReferenceVE(), 20)
    denoiser, x = (
        GaussianDenoiser(scheduler),
        torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None],
    )
    z = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None]
    sampler = DDPM(variance="large")
    state = sampler.start(plan)
    for i in range(plan.steps):
        found, _ = sampler.step(denoiser, x, i, plan, state, lambda: z)
        g2 = plan.sigma[i] ** 2 - plan.sigma[i + 1] ** 2
        score = -denoiser(x, plan.times[i]).eps / plan.sigma[i]
        assert torch.allclose(found, x + g2 * score + math.sqrt(g2) * z, rtol=1e-12, atol=1e-12)


def test_euler_is_the_tangent_of_the_velocity(process):
    plan, denoiser = window(process, 6), MixtureDenoiser(process)
    sampler = Euler(coords="native")
    state = sampler.start(plan)
    x = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None]
    for i in range(2, plan.steps):  # the limit is met before, for the variance-exploding process
        found, _ = sampler.step(denoiser, x, i, plan, state, None)
        t = torch.tensor(plan.times[i], dtype=torch.float64)
        rates = (float(process.alpha_rate(t)), float(process.sigma_rate(t)))
        velocity = denoiser(x, plan.times[i]).mix(*rates)
        dt = plan.times[i + 1] - plan.times[i]
        assert torch.allclose(found, x + dt * velocity, rtol=1e-12, atol=1e-12)


def test_euler_is_ddim_in_the_ratio_and_for_straight_lines(process):
    plan = window(process, 9)
    assert Euler().table(plan) == DDIM().table(plan)
    straight = window(ReferenceFlow(), 9)
    for found, expected in zip(
        Euler(coords="native").table(straight), DDIM().table(straight), strict=True
    ):
        assert found == pytest.approx(expected, abs=1e-12)


GOLDEN = {
    "Euler-Maruyama": (EulerMaruyama(form="classic"), 4.8e-3, 6e-3),
    "ancestral": (DDPM(), 7.4e-4, 7.5e-4),
    "churn": (Heun(coords="edm", s_churn=20.0), None, 3e-4),
    "churn in flow coordinates": (Heun(s_churn=20.0), None, 3e-4),
    "stochastic Heun": (SDEHeun(), None, 1e-4),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_weak_errors_on_a_mixture_are_the_golden_ones(name):
    """E cos(3 x) after 128 steps from sigma / alpha 5 to 0.1, by backward expectation."""
    sampler, golden, bound = GOLDEN[name]
    times = torch.logspace(math.log10(5), -1, 129, dtype=torch.float64)
    denoiser = MixtureDenoiser(EDM())
    parts = zip(denoiser.weights, denoiser.means, denoiser.stds, strict=True)
    exact = sum(w * math.exp(-4.5 * (s**2 + 0.01)) * math.cos(3 * m) for w, m, s in parts)
    assert exact == pytest.approx(-0.66800, abs=1e-5)
    plan = Plan.of(EDM(), times, clean=False)
    error = abs(expectation(sampler, denoiser, plan, lambda x: (3 * x).cos()) - exact)
    assert error < bound
    if golden is not None:
        assert error == pytest.approx(golden, rel=0.01)


def test_a_discrete_process_is_sampled_at_its_own_levels():
    plan = Plan.of(Linear(), Linear().grid().flip(0)[::100], clean=True)
    assert [round(1000 * t, 6) for t in plan.times[:2]] == [1000, 900]
    assert DDPM().table(plan)[-1] == (1.0, 0.0, 0.0)


def test_ancestral_noise_is_too_small_and_the_large_one_too_large():
    times = torch.tensor(window(ReferenceVP(), 50).times, dtype=torch.float64)
    small, large = (
        variance_error(DDPM(variance=variance), ReferenceVP(), times, clean=False)
        for variance in ("posterior", "large")
    )
    assert small < 0 < large
