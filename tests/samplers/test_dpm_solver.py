"""DPM-Solver, singlestep: its formulas, its orders, any number of calls."""

import math

import pytest
import torch

from diffx_core import NoiseSource, Plan, sample
from diffx_core.testing import GaussianDenoiser, MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_core.testing.sampler_laws import window
from diffx_samplers.dpm_solver import DPMSolver, orders


class TestDPMSolver2(SamplerSuite):
    def component(self):
        return DPMSolver()


class TestDPMSolver3(SamplerSuite):
    def component(self):
        return DPMSolver(order=3)


class TestNoise2(SamplerSuite):
    def component(self):
        return DPMSolver(end="eps")


class TestNoise3(SamplerSuite):
    def component(self):
        return DPMSolver(end="eps", order=3)


@pytest.mark.parametrize("order", [2, 3])
def test_the_steps_lead_over_all_intervals_with_lower_orders_first(order):
    for intervals in range(40):
        found = orders(intervals, order)
        assert sum(found) == intervals
        assert found == sorted(found)
        assert found[2:] == [order] * len(found[2:])
        assert 1 not in found or order == 2 or intervals == 1


def published(denoiser, plan, first, x, order):
    """Lu et al. 2022a, equations for DPM-Solver-2 and -3 with their default r, in noise."""
    ell, s = plan.half_log_snr, plan.sigma
    h = ell[first + order] - ell[first]

    def eps(y, j):
        return denoiser(y, plan.times[first + j]).eps

    def kept(j):
        return plan.alpha[first + j] / plan.alpha[first] * x

    e = eps(x, 0)
    if order == 2:
        u = kept(1) - s[first + 1] * math.expm1(h / 2) * e
        return kept(2) - s[first + 2] * math.expm1(h) * eps(u, 1)
    r1, r2 = 1 / 3, 2 / 3
    u1 = kept(1) - s[first + 1] * math.expm1(r1 * h) * e
    d1 = eps(u1, 1) - e
    u2 = kept(2) - s[first + 2] * (
        math.expm1(r2 * h) * e + r2 / r1 * (math.expm1(r2 * h) / (r2 * h) - 1) * d1
    )
    d2 = eps(u2, 2) - e
    return kept(3) - s[first + 3] * (math.expm1(h) * e + (math.expm1(h) / h - 1) / r2 * d2)


@pytest.mark.parametrize("order", [2, 3])
def test_on_a_logarithmic_grid_it_is_the_published_method(walks, process, order):
    plan, denoiser = window(process, 4 * order), MixtureDenoiser(process)
    x = walks.starts(plan)
    reached = walks.walk(DPMSolver(order=order, end="eps"), denoiser, plan, x)
    for first in range(0, plan.steps, order):
        x = published(denoiser, plan, first, x, order)
        assert torch.allclose(reached[first + order], x, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("end", ["x0", "eps"])
@pytest.mark.parametrize("order", [2, 3])
def test_it_is_the_same_map_for_every_process(walks, process, order, end):
    ratios = torch.logspace(1, -1.3, 12, dtype=torch.float64) ** 1.1
    ends = []
    for scheduler in (ReferenceVP(), process):
        plan = walks.plan_through(scheduler, ratios)
        x = torch.linspace(-5, 5, 7, dtype=torch.float64)[:, None] * plan.alpha[0]
        denoiser = GaussianDenoiser(scheduler)
        found = walks.walk(DPMSolver(order=order, end=end), denoiser, plan, x)
        ends.append(found[-1] / plan.alpha[-1])
    assert torch.allclose(*ends, rtol=1e-10)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("nfe", range(1, 9))
def test_every_number_of_calls_is_possible_and_stays_in_bounds(process, nfe, order):
    for end in ("x0", "eps"):
        for grid in ("uniform", "logsnr", "karras", "flow", "quadratic"):
            sampler = DPMSolver(order=order, end=end, grid=grid).with_nfe(nfe)
            denoiser = MixtureDenoiser(process)
            noise = NoiseSource(0, range(64), dtype=torch.float64)
            drawn = sample(sampler, denoiser, (1,), noise=noise)
            assert len(denoiser.calls) == nfe
            assert drawn.abs().max() < 3


def test_a_run_from_pure_noise_begins_and_ends_with_first_order():
    sampler, process = DPMSolver(order=3, steps=8), ReferenceFlow()
    plan = Plan.of(process, sampler.times(process, process.t_max))
    stages = sampler.start(plan).stages
    assert [stage.opens for stage in stages] == [True, True, False, False, True, False, False, True]
    assert (stages[-1].x0, stages[-1].eps, stages[-1].newest) == (1.0, 0.0, 0.0)
