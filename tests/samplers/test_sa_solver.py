"""SA-Solver: its laws, its orders with and without noise, and the integrals behind its weights."""

import math

import numpy as np
import pytest
import torch

from diffx_core import NoiseSource, Plan, sample
from diffx_core.testing import GaussianDenoiser, MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_core.testing.probe import law_error
from diffx_core.testing.sampler_laws import limit_slope, window
from diffx_samplers.ddim import DDIM
from diffx_samplers.dpmpp import DPMPP
from diffx_samplers.exponential import moments
from diffx_samplers.sa_solver import SASolver
from diffx_samplers.unipc import in_logsnr


class TestSASolver(SamplerSuite):
    def component(self):
        return SASolver()


class TestPredictorAlone(SamplerSuite):
    def component(self):
        return SASolver(predictor=2, corrector=0)


class TestWithoutNoise(SamplerSuite):
    def component(self):
        return SASolver(predictor=2, corrector=3, tau=0.0)


class TestNoiseInAWindow(SamplerSuite):
    def component(self):
        return SASolver(kappa_min=0.1, kappa_max=1.0)


@pytest.mark.parametrize(
    ("predictor", "corrector", "expected"),
    [(1, 0, 1), (2, 0, 2), (3, 0, 3), (1, 1, 1), (1, 2, 2), (1, 3, 2), (3, 1, 1), (2, 3, 3)],
)
def test_the_orders_without_noise_are_those_declared(walks, predictor, corrector, expected):
    sampler = SASolver(predictor=predictor, corrector=corrector, tau=0.0)
    assert sampler.rate == expected
    assert walks.order(sampler, ReferenceVP()) == pytest.approx(expected, abs=0.15)


def test_three_and_three_come_down_to_the_third_order_late(walks):
    """The corrector's error of order three is small; that of the predictor, of order four, is not.

    So slopes fall to 3 slowly, and the corrector shows in the error itself.
    """
    full, bare = (SASolver(predictor=3, corrector=c, tau=0.0) for c in (3, 0))
    slopes = [walks.slope(full, ReferenceVP(), n) for n in (320, 640, 1280)]
    assert slopes == sorted(slopes, reverse=True)
    assert 2.85 < slopes[-1] < 3.4
    assert walks.error(full, ReferenceVP(), 320) < walks.error(bare, ReferenceVP(), 320) / 3


@pytest.mark.parametrize(
    ("predictor", "corrector", "expected"), [(1, 0, 1), (1, 2, 2), (2, 0, 2), (3, 0, 2), (3, 3, 2)]
)
def test_the_orders_of_the_law_with_noise_are_those_declared(predictor, corrector, expected):
    sampler = SASolver(predictor=predictor, corrector=corrector, tau=0.7)
    denoiser = GaussianDenoiser(ReferenceVP())
    errors = [law_error(sampler, denoiser, window(ReferenceVP(), n)) for n in (80, 160, 320)]
    assert sampler.rate == expected
    assert limit_slope(errors) == pytest.approx(expected, abs=0.15)


def test_one_estimate_is_ddim_and_with_the_noise_of_the_reverse_sde_ancestral(walks, process):
    plan, denoiser = window(process, 9), MixtureDenoiser(process)
    z = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    for tau, eta in ((0.0, 0.0), (1.0, 1.0)):
        ways = [
            walks.walk(sampler, denoiser, plan, walks.starts(plan), noise=lambda *_: z)[-1]
            for sampler in (SASolver(predictor=1, corrector=0, tau=tau), DDIM(eta=eta))
        ]
        assert torch.allclose(*ways, rtol=1e-12, atol=1e-12)


def test_without_noise_three_estimates_are_dpm_solver_of_third_order(walks, process):
    """But for the second step, where DPM-Solver++ of second order has phi1 / 2 for phi2."""
    plan, denoiser = window(process, 9), MixtureDenoiser(process)
    start = walks.starts(plan)
    given = [denoiser.flow(start, plan.times[0], t) for t in plan.times[:3]]
    ways = [
        walks.walk(sampler, denoiser, plan, start, given=given)[-1]
        for sampler in (SASolver(predictor=3, corrector=0, tau=0.0), DPMPP(order=3))
    ]
    assert torch.allclose(*ways, rtol=0, atol=1e-10)


def test_without_noise_the_corrector_of_three_estimates_is_that_of_unipc(process):
    plan, i = window(process, 9), 5
    found = SASolver(predictor=2, corrector=3, tau=0.0).weights(plan, i).corrector
    assert found == pytest.approx(in_logsnr(plan, i, 2).corrector, rel=1e-12)


@pytest.mark.parametrize("size", [1e-6, 0.01, 0.4999, 0.5001, 3.0, 40.0])
def test_the_moments_are_the_integrals(size):
    nodes, weights = np.polynomial.legendre.leggauss(64)
    u, w = (nodes + 1) / 2, weights / 2
    for k, found in enumerate(moments(size, 5)):
        expected = float((w * size * np.exp(-(1 - u) * size) * u**k).sum())
        assert found == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("tau", [0.0, 0.6, 1.0])
def test_the_weights_are_the_integrals_of_the_lagrange_basis(tau):
    plan, i = window(ReferenceVP(), 6), 4
    ell = np.array(plan.half_log_snr)
    found = SASolver(predictor=3, corrector=3, tau=tau).weights(plan, i)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    u = ell[i] + (nodes + 1) / 2 * (ell[i + 1] - ell[i])
    w = weights / 2 * (ell[i + 1] - ell[i])
    kernel = (1 + tau**2) * np.exp(-(1 + tau**2) * (ell[i + 1] - u))
    for those, used in ((found.predictor, (4, 3, 2)), (found.corrector, (5, 4, 3))):
        for weight, j in zip(those, used, strict=True):
            basis = math.prod((u - ell[k]) / (ell[j] - ell[k]) for k in used if k != j)
            assert weight == pytest.approx(float((w * kernel * basis).sum()), rel=1e-10)


def test_predictor_and_corrector_share_the_noise_of_their_step(walks):
    """The corrector as the paper has it: the whole step again, with the estimate at its end."""
    scheduler, tau = ReferenceVP(), 0.8
    plan, denoiser = window(scheduler, 3), MixtureDenoiser(scheduler)
    sampler, start = SASolver(predictor=1, corrector=2, tau=tau), walks.starts(window(scheduler, 3))
    z = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    ell, x, expected = plan.half_log_snr, start, []
    data = denoiser(start, plan.times[0]).x0
    for i in range(plan.steps):
        h = ell[i + 1] - ell[i]
        H = (1 + tau**2) * h
        shrunk = plan.sigma[i + 1] / plan.sigma[i] * math.exp(-(tau**2) * h) * x
        noise = plan.sigma[i + 1] * math.sqrt(1 - math.exp(-2 * tau**2 * h)) * z
        phi1 = 1 - math.exp(-H)
        ahead = shrunk + plan.alpha[i + 1] * phi1 * data + noise
        expected.append(ahead)
        new = denoiser(ahead, plan.times[i + 1]).x0
        phi2 = 1 - phi1 / H
        mixed = (phi1 - phi2) * data + phi2 * new
        x, data = shrunk + plan.alpha[i + 1] * mixed + noise, new
    found = walks.walk(sampler, denoiser, plan, start, noise=lambda *_: z)
    assert torch.allclose(torch.stack(found[1:]), torch.stack(expected), rtol=0, atol=1e-12)


def test_noise_is_drawn_only_in_the_window(walks):
    plan = walks.plan_through(ReferenceVP(), [5.0, 2.0, 0.9, 0.4, 0.09, 0.05])
    rows = SASolver(kappa_min=0.1, kappa_max=1.0).rows(plan)
    assert [row.noise > 0 for row in rows] == [False, False, True, True, False]


def test_singular_ends_are_steps_of_order_one():
    plan = Plan.of(ReferenceFlow(), torch.linspace(1, 0, 6, dtype=torch.float64))
    rows = SASolver(predictor=3, corrector=3).rows(plan)
    assert [len(row.past) for row in rows] == [0, 1, 2, 2, 0]  # none remembers s = 1 for long
    assert rows[0] == (plan.alpha[1], 0.0, [], plan.sigma[1])
    assert rows[-1] == (1.0, 0.0, [], 0.0)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_the_corrector_of_a_start_without_data_is_exact_for_lines_in_exp_l(tau):
    plan = Plan.of(ReferenceFlow(), torch.tensor([1.0, 0.6, 0.3], dtype=torch.float64))
    weights = SASolver(predictor=1, corrector=2, tau=tau).weights(plan, 0).corrector
    end = plan.half_log_snr[1]
    nodes, w = np.polynomial.legendre.leggauss(200)
    u, w = end - 20 * (nodes + 1), w * 20
    kernel = (1 + tau**2) * np.exp(-(1 + tau**2) * (end - u))
    expected = float((w * kernel * (2 + 3 * np.exp(u))).sum())
    found = weights[0] * (2 + 3 * math.exp(end)) + weights[1] * 2
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_the_last_step_onto_clean_data_is_what_the_model_expects(process, steps):
    noise, last = NoiseSource(0, range(3), dtype=torch.float64), []
    end = sample(
        SASolver(steps=steps),
        MixtureDenoiser(process),
        (4,),
        noise=noise,
        observe=lambda r: last.append(r.estimate.x0),
    )
    assert torch.allclose(end, last[-1], rtol=0, atol=1e-14)
