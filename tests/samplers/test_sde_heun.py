"""Stochastic Heun: weak order two, and an ODE method without noise."""

import torch

from diffx_core import Plan
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow
from diffx_core.testing.probe import law_error
from diffx_core.testing.sampler_laws import window
from diffx_samplers.ddim import DDIM
from diffx_samplers.sde_heun import SDEHeun


class TestSDEHeun(SamplerSuite):
    def component(self):
        return SDEHeun()


class TestLittleNoise(SamplerSuite):
    def component(self):
        return SDEHeun(tau=0.4)


class TestNoNoise(SamplerSuite):
    def component(self):
        return SDEHeun(tau=0.0)


def test_its_first_guess_is_ancestral_sampling(process):
    plan = window(process, 9)
    for row, expected in zip(SDEHeun().start(plan), DDIM(eta=1.0).table(plan), strict=True):
        assert abs(row.eps - expected.eps) < 1e-12
        assert abs(row.noise - expected.noise) < 1e-12


def test_it_is_the_same_map_for_every_process(walks):
    ratios = torch.logspace(1, -1.3, 9, dtype=torch.float64)
    plans = [walks.plan_through(s, ratios) for s in REFERENCE_PROCESSES]
    z = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    ends = []
    for plan in plans:
        denoiser = GaussianDenoiser(plan.scheduler)
        start = z.flip(0) * 5 * plan.alpha[0]
        end = walks.walk(SDEHeun(), denoiser, plan, start, noise=lambda: z)[-1]
        ends.append(end / plan.alpha[-1])
    assert torch.allclose(ends[1], ends[0], rtol=1e-11)
    assert torch.allclose(ends[2], ends[0], rtol=1e-11)


def test_the_law_is_far_closer_than_that_of_ancestral_sampling(process):
    plan, denoiser = window(process, 80), GaussianDenoiser(process)
    ours, theirs = (law_error(s, denoiser, plan) for s in (SDEHeun(), DDIM(eta=1.0)))
    assert 0 < ours < theirs / 10


def test_a_step_from_pure_noise_draws_all_its_noise_anew():
    plan = Plan.of(ReferenceFlow(), torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64))
    row = SDEHeun().start(plan)[0]
    assert (row.eps, row.noise, row.weight) == (0.0, 0.5, 0.25)
