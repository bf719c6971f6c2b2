"""UniPC: its laws, its orders, and predictor and corrector as the paper writes them."""

import math

import numpy as np
import pytest
import torch

from diffx_core import NoiseSource, Plan, sample
from diffx_core.testing import MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_core.testing.sampler_laws import window
from diffx_samplers.dpmpp import DPMPP
from diffx_samplers.exponential import flow_moments
from diffx_samplers.unipc import UniPC, even, in_flow


class TestUniPC(SamplerSuite):
    def component(self):
        return UniPC()


class TestThirdOrder(SamplerSuite):
    def component(self):
        return UniPC(order=3)


class TestPredictorAlone(SamplerSuite):
    def component(self):
        return UniPC(order=3, corrector=False)


class TestInFlow(SamplerSuite):
    def component(self):
        return UniPC(order=3, variable="flow")


@pytest.mark.parametrize("variable", ["logsnr", "flow"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_corrector_adds_one_to_the_order(walks, process, order, variable):
    samplers = [UniPC(order=order, corrector=c, variable=variable) for c in (False, True)]
    found = [walks.order(sampler, process) for sampler in samplers]
    assert found == pytest.approx([order, order + 1], abs=0.15)


@pytest.mark.parametrize("ends", [(1.0, 0.9), (0.6, 0.58), (0.5, 0.4), (0.5, 0.401), (0.1, 0.02)])
@pytest.mark.parametrize("upward", [False, True])
def test_the_moments_of_a_step_in_s_are_the_integrals(ends, upward):
    start, end = ends[::-1] if upward else ends
    end = min(end, 0.99)
    points, weights = np.polynomial.legendre.leggauss(200)
    u = (points + 1) / 2
    s = start + u * (end - start)
    # exp(-(l' - l)) dl = dv / v' for v = exp(l) = (1 - s) / s, and dv = -ds / s^2.
    kernel = (start - end) / s**2 * end / (1 - end)
    for k, found in enumerate(flow_moments(start, end, 4)):
        assert found == pytest.approx(float(weights / 2 @ (kernel * u**k)), rel=1e-12)


def test_the_moments_of_a_step_onto_clean_data_see_its_end_alone():
    assert flow_moments(0.1, 0.0, 3) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_in_flow_a_polynomial_in_s_is_integrated_exactly(order):
    plan = Plan.of(ReferenceFlow(), torch.tensor([1, 0.9, 0.65, 0.5, 0.2], dtype=torch.float64))
    i = order - 1  # the first step that can be of the order, from s = 1 for order one
    start, end = plan.spans[i]
    before = [plan.spans[i - j][0] for j in range(order)]
    found = in_flow(plan, i, order)
    for values, weights in ((before, found.predictor), ([end, *before], found.corrector)):
        for k in range(len(values)):
            exact = {0: 1 / end - 1 / start, 1: math.log(start / end), 2: start - end}
            integral = exact.get(k, (start**2 - end**2) / 2) * end / (1 - end)
            by_rule = sum(w * s**k for w, s in zip(weights, values, strict=True))
            assert by_rule == pytest.approx(integral, rel=1e-12)


@pytest.mark.parametrize("variable", ["flow", "logsnr"])
@pytest.mark.parametrize("steps", [5, 6, 9, 40])
def test_auto_is_the_variable_in_which_the_steps_are_equal(process, variable, steps):
    sampler = UniPC(steps=steps, grid=variable)
    plan = Plan.of(process, sampler.times(process, process.t_max))
    assert sampler.rows(plan) == UniPC(variable=variable).rows(plan)
    other = {"flow": "logsnr", "logsnr": "flow"}[variable]
    assert sampler.rows(plan) != UniPC(variable=other).rows(plan)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_auto_is_flow_where_the_steps_are_equal_in_both(process, steps):
    sampler = UniPC(steps=steps)
    plan = Plan.of(process, sampler.times(process, process.t_max))
    assert sampler.rows(plan) == UniPC(variable="flow").rows(plan)


@pytest.mark.parametrize("grid", ["flow", "logsnr", "karras", "quadratic", "time_shift:3"])
def test_auto_is_the_same_on_the_way_back(process, grid):
    compared = 0
    for steps in (1, 2, 3, 5, 8, 30):
        times = UniPC(steps=steps, grid=grid).times(process, process.t_max)
        ratios = torch.logspace(2, -2, 2, dtype=torch.float64)
        times[:1], times[-1:] = process.time_of(-2 * ratios.log()).split(1)
        if (times.diff() < 0).all():
            plans = (Plan.of(process, one, clean=False) for one in (times, times.flip(0)))
            assert len({even(plan) for plan in plans}) == 1
            compared += 1
    assert compared > 2


def test_the_order_does_not_need_an_exact_start(walks):
    """The corrector mends what the first step spoils: orders that DPM-Solver++ has not."""
    for order in (2, 3):
        found = walks.slope(UniPC(order=order), ReferenceVP(), 320, exact=1)
        assert found == pytest.approx(order + 1, abs=0.15)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_predictor_alone_is_dpm_solver(walks, process, order):
    ratios = torch.tensor([9.0, 6.0, 3.5, 2.0, 1.5, 0.7, 0.2, 0.04])
    plan, denoiser = walks.plan_through(process, ratios), MixtureDenoiser(process)
    ways = [
        torch.stack(walks.walk(sampler, denoiser, plan, walks.starts(plan)))
        for sampler in (UniPC(order=order, corrector=False, variable="logsnr"), DPMPP(order=order))
    ]
    assert torch.allclose(*ways, rtol=0, atol=1e-10)


def paper(denoiser, plan, start, order):
    """UniPC with B2 as the paper has it (its algorithms 1 and 2), with Vandermonde systems."""
    ell, alpha, sigma = plan.half_log_snr, plan.alpha, plan.sigma
    x, data, predicted = start, [denoiser(start, plan.times[0]).x0], []
    for i in range(1, plan.steps + 1):
        now = min(order, i)
        h = ell[i] - ell[i - 1]
        hh, B = -h, math.expm1(-h)
        r = [(ell[i - k - 1] - ell[i - 1]) / h for k in range(1, now)]
        slopes = [(data[-1 - k] - data[-1]) / r[k - 1] for k in range(1, now)]
        phi, factorial, b = math.expm1(hh) / hh - 1, 1, []
        for k in range(1, now + 1):
            b.append(phi * factorial / B)
            factorial *= k + 1
            phi = phi / hh - 1 / factorial
        nodes = torch.tensor([*r, 1.0], dtype=torch.float64)
        rows, right = torch.stack([nodes**k for k in range(now)]), nodes.new_tensor(b)
        rho_p = [0.5] if now == 2 else torch.linalg.solve(rows[:-1, :-1], right[:-1]).tolist()
        rho_c = [0.5] if now == 1 else torch.linalg.solve(rows, right).tolist()
        base = sigma[i] / sigma[i - 1] * x - alpha[i] * math.expm1(hh) * data[-1]
        ahead = base - alpha[i] * B * sum(a * d for a, d in zip(rho_p, slopes, strict=True))
        predicted.append(ahead)
        new = denoiser(ahead, plan.times[i]).x0
        slopes.append(new - data[-1])
        x = base - alpha[i] * B * sum(a * d for a, d in zip(rho_c, slopes, strict=True))
        data.append(new)
    return torch.stack(predicted)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_one_combination_for_each_step_is_predictor_and_corrector(walks, process, order):
    ratios = torch.tensor([9.0, 6.0, 3.5, 2.0, 1.5, 0.7, 0.2, 0.04])
    plan, denoiser = walks.plan_through(process, ratios), MixtureDenoiser(process)
    sampler = UniPC(order=order, variable="logsnr")
    found = walks.walk(sampler, denoiser, plan, walks.starts(plan))
    expected = paper(denoiser, plan, walks.starts(plan), order)
    assert torch.allclose(torch.stack(found[1:]), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_it_is_the_same_map_for_every_process_on_the_same_noise_ratios(walks, process, order):
    ratios = torch.logspace(1, -1.3, 13, dtype=torch.float64)
    ends = []
    for scheduler in (process, ReferenceFlow()):
        plan = walks.plan_through(scheduler, ratios)
        start = torch.linspace(-5, 5, 7, dtype=torch.float64)[:, None] * plan.alpha[0]
        way = walks.walk(UniPC(order=order), MixtureDenoiser(scheduler), plan, start)
        ends.append(way[-1] / plan.alpha[-1])
    assert torch.allclose(*ends, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_the_last_step_onto_clean_data_is_what_the_model_expects(process, steps):
    noise, last = NoiseSource(0, range(3), dtype=torch.float64), []
    denoiser, sampler = MixtureDenoiser(process), UniPC(steps=steps, order=3)
    end = sample(sampler, denoiser, (4,), noise=noise, observe=lambda r: last.append(r.estimate.x0))
    assert torch.allclose(end, last[-1], rtol=0, atol=1e-14)
    assert len(denoiser.calls) == steps


def test_the_order_falls_at_the_end_only_where_it_is_asked_to():
    plan = Plan.of(ReferenceFlow(), torch.linspace(1, 0, 8, dtype=torch.float64))
    steps = [UniPC(order=3, lower_order_final=falls).rows(plan) for falls in (True, False)]
    different = [i for i, (a, b) in enumerate(zip(*steps, strict=True)) if a != b]
    assert different == [5]


def test_float32_is_as_good_as_float32_can_be(walks, process):
    plan, denoiser = window(process, 50), MixtureDenoiser(process)
    start = walks.starts(plan)
    exact, single = (
        walks.walk(UniPC(order=3), denoiser, plan, x)[-1] for x in (start, start.float())
    )
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), exact, atol=1e-4)
