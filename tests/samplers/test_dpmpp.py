"""DPM-Solver++: its laws, its orders and the formulas that it is known by."""

import math

import numpy as np
import pytest
import torch
from attrs import evolve

from diffx_core import NoiseSource, Plan, sample
from diffx_core.testing import GaussianDenoiser, MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_core.testing.sampler_laws import window
from diffx_samplers.ddim import DDIM
from diffx_samplers.dpmpp import DPMPP


class TestDPMPP(SamplerSuite):
    def component(self):
        return DPMPP()


class TestThirdOrder(SamplerSuite):
    def component(self):
        return DPMPP(order=3)


class TestPublished(SamplerSuite):
    def component(self):
        return DPMPP(order=3, variant="published")


class TestReverseSDE(SamplerSuite):
    def component(self):
        return DPMPP(tau=1.0)


class TestLittleNoiseAtThirdOrder(SamplerSuite):
    def component(self):
        return DPMPP(order=3, tau=0.5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"order": 1}, 1),
        ({"order": 2}, 2),
        ({"order": 3}, 3),
        ({"order": 3, "variant": "published"}, 2),
    ],
    ids=str,
)
def test_the_orders_on_a_mixture_are_the_known_ones(walks, process, options, expected):
    assert walks.order(DPMPP(**options), process) == pytest.approx(expected, abs=0.15)


def test_the_published_third_order_has_slope_two_at_any_number_of_steps(walks):
    """The regression test of the missing factor 2, from an exact start."""
    for steps in (40, 160, 640):
        found = walks.slope(DPMPP(order=3, variant="published"), ReferenceVP(), steps)
        assert found == pytest.approx(2, abs=0.15)


def test_started_with_one_euler_step_the_third_order_ends_up_as_the_second(walks):
    assert walks.slope(DPMPP(order=3), ReferenceVP(), 640, exact=1) == pytest.approx(2, abs=0.15)
    assert walks.slope(DPMPP(order=3), ReferenceVP(), 640) == pytest.approx(3, abs=0.15)


def test_order_one_is_ddim_and_with_the_noise_of_the_reverse_sde_ancestral(walks, process):
    plan, denoiser = window(process, 9), MixtureDenoiser(process)
    z = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    for tau, eta in ((0.0, 0.0), (1.0, 1.0)):
        ways = [
            walks.walk(sampler, denoiser, plan, walks.starts(plan), noise=lambda *_: z)[-1]
            for sampler in (DPMPP(order=1, tau=tau), DDIM(eta=eta))
        ]
        assert torch.allclose(*ways, rtol=1e-12, atol=1e-12)


def published_step(x, plan, i, data, order):
    """A multistep update of the paper (its eq. 13, algorithm 2), in its own words."""
    ell = plan.half_log_snr
    h, h0 = ell[i + 1] - ell[i], ell[i] - ell[i - 1]
    alpha, sigma, before = plan.alpha[i + 1], plan.sigma[i + 1], plan.sigma[i]
    e = math.exp(-h) - 1
    if order == 2:
        r = h0 / h
        mixed = (1 + 1 / (2 * r)) * data[-1] - 1 / (2 * r) * data[-2]
        return sigma / before * x - alpha * e * mixed
    r0, r1 = h0 / h, (ell[i - 1] - ell[i - 2]) / h
    d10, d11 = (data[-1] - data[-2]) / r0, (data[-2] - data[-3]) / r1
    d1, d2 = d10 + r0 / (r0 + r1) * (d10 - d11), (d10 - d11) / (r0 + r1)
    line = sigma / before * x - alpha * e * data[-1] + alpha * (e / h + 1) * d1
    return line - alpha * ((e + h) / h**2 - 0.5) * d2


@pytest.mark.parametrize("order", [2, 3])
def test_the_published_steps_are_the_formulas_of_the_paper(walks, process, order):
    plan = walks.plan_through(process, [8.0, 5.0, 2.2, 1.4, 0.6, 0.2])
    denoiser = MixtureDenoiser(process)
    sampler = DPMPP(order=order, variant="published")
    reached = walks.walk(sampler, denoiser, plan, walks.starts(plan))
    data = [denoiser(x, t).x0 for x, t in zip(reached, plan.times, strict=True)]
    for i in range(order - 1, plan.steps):
        expected = published_step(reached[i], plan, i, data[: i + 1], order)
        assert torch.allclose(reached[i + 1], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_it_is_the_same_map_for_every_process_on_the_same_noise_ratios(walks, process, order):
    ratios = torch.logspace(1, -1.3, 13, dtype=torch.float64)
    ends = []
    for scheduler in (process, ReferenceFlow()):
        plan = walks.plan_through(scheduler, ratios)
        start = torch.linspace(-5, 5, 7, dtype=torch.float64)[:, None] * plan.alpha[0]
        way = walks.walk(DPMPP(order=order), MixtureDenoiser(scheduler), plan, start)
        ends.append(way[-1] / plan.alpha[-1])
    assert torch.allclose(*ends, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("tau", [0.0, 1.0])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_last_step_onto_clean_data_is_what_the_model_expects(process, order, tau):
    denoiser = MixtureDenoiser(process)
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    last = []
    end = sample(
        DPMPP(steps=5, order=order, tau=tau),
        denoiser,
        (4,),
        noise=noise,
        observe=lambda reached: last.append(reached.estimate.x0),
    )
    assert torch.allclose(end, last[-1], rtol=0, atol=1e-14)


def test_the_order_falls_at_the_end_only_where_it_is_asked_to_and_data_are_clean():
    times = torch.linspace(1, 0, 7, dtype=torch.float64)
    clean = Plan.of(ReferenceFlow(), times)
    noisy = Plan.of(ReferenceFlow(), times + 0.1 * (1 - times), clean=False)
    sampler = DPMPP(order=3)
    for plan, falls, expected in (
        (clean, True, [0, 1, 1, 2, 1, 0]),  # none remembers s = 1 for long
        (clean, False, [0, 1, 1, 2, 2, 0]),
        (noisy, True, [0, 1, 1, 2, 2, 2]),
    ):
        rows = evolve(sampler, lower_order_final=falls).rows(plan)
        assert [len(row.past) for row in rows] == expected


@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("levels", [[0.9, 0.8], [0.6, 0.4], [0.4, 0.2]])
def test_after_a_start_without_data_a_line_in_exp_l_is_followed_as_far_as_its_half(tau, levels):
    """D = 1 + exp(min(l, 0)) from l = -inf on, or up to the end of the first step if that is later.

    The second step is exact then, if it is not a long one.
    """
    times = torch.tensor([1.0, *levels, 0.05], dtype=torch.float64)
    plan = Plan.of(ReferenceFlow(), times, clean=False)
    _, start, end, _ = plan.half_log_snr
    row = DPMPP(tau=tau).rows(plan)[1]

    def data(ell):
        return 1 + np.exp(np.minimum(ell, max(start, 0.0)))

    rate, bend = 1 + tau**2, min(max(start, 0.0), end)
    points, weights = np.polynomial.legendre.leggauss(40)
    integral = 0.0
    for low, high in ((start, bend), (bend, end)):
        ell = (high + low) / 2 + (high - low) / 2 * points
        inside = rate * np.exp(-rate * (end - ell)) * data(ell)
        integral += float(weights @ inside) * (high - low) / 2
    # x = alpha D + sigma eps at the start, of which what is left of sigma eps is left of x.
    left = plan.sigma[2] / plan.sigma[1] * math.exp(-(tau**2) * (end - start))
    found = row.x0 * data(start) + row.past[0] * data(-math.inf)
    expected = left * plan.alpha[1] * data(start) + plan.alpha[2] * integral
    assert found == pytest.approx(expected, rel=1e-12)
    assert row.eps == pytest.approx(left * plan.sigma[1], rel=1e-12)


def test_a_long_step_after_a_start_without_data_follows_no_line():
    plan = Plan.of(ReferenceFlow(), torch.tensor([1.0, 0.9, 0.3, 0.05], dtype=torch.float64))
    assert DPMPP(order=2).rows(plan)[1] == DPMPP(order=1).rows(plan)[1]


def test_only_what_is_still_needed_is_remembered(walks):
    plan = Plan.of(ReferenceVP(), torch.linspace(1, 1e-5, 7, dtype=torch.float64))
    sampler, x = DPMPP(order=3), walks.starts(plan)
    state, kept = sampler.start(plan), []
    for i in range(plan.steps):
        x, state = sampler.step(GaussianDenoiser(ReferenceVP()), x, i, plan, state, None)
        kept.append(len(state.past))
    assert kept == [1, 2, 2, 1, 0, 0]


def test_float32_is_as_good_as_float32_can_be(walks, process):
    plan, denoiser = window(process, 50), MixtureDenoiser(process)
    start = walks.starts(plan)
    exact, single = (
        walks.walk(DPMPP(order=3), denoiser, plan, x)[-1] for x in (start, start.float())
    )
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), exact, atol=1e-4)
