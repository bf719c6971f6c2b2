"""DEIS and iPNDM: their laws, their orders, and the ODE solvers that they are."""

import numpy as np
import pytest
import torch

from diffx_core import Plan
from diffx_core.testing import MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_core.testing.sampler_laws import window
from diffx_samplers.adams import DEIS, IPNDM
from diffx_samplers.ddim import DDIM


class TestDEIS(SamplerSuite):
    def component(self):
        return DEIS()


class TestFourthOrder(SamplerSuite):
    def component(self):
        return DEIS(order=4)


class TestIPNDM(SamplerSuite):
    def component(self):
        return IPNDM()


class TestIPNDMOfThree(SamplerSuite):
    def component(self):
        return IPNDM(order=3)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_deis_has_the_order_that_it_is_asked_for(walks, process, order):
    assert walks.order(DEIS(order=order), process) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_ipndm_is_of_second_order_where_steps_are_not_equal(walks, process, order):
    assert walks.order(IPNDM(order=order), process) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_on_equal_steps_in_sigma_over_alpha_both_are_the_same(walks, process, order):
    plan = walks.plan_through(process, torch.linspace(5, 0.5, 12, dtype=torch.float64))
    denoiser = MixtureDenoiser(process)
    ways = [
        torch.stack(walks.walk(sampler, denoiser, plan, walks.starts(plan)))
        for sampler in (DEIS(order=order), IPNDM(order=order))
    ]
    assert torch.allclose(*ways, rtol=0, atol=1e-10)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_deis_in_a_variance_exploding_process_is_adams_bashforth_on_the_ode(walks, order):
    """dx / d sigma = (x - D) / sigma, with a polynomial fitted to the slopes and integrated."""
    scheduler = ReferenceVE()
    plan, denoiser = window(scheduler, 16), MixtureDenoiser(scheduler)
    x, slopes = walks.starts(plan).numpy(), []
    for i in range(plan.steps):
        sigma, new = plan.sigma[i], plan.sigma[i + 1]
        data = denoiser(torch.from_numpy(x), plan.times[i]).x0.numpy()
        slopes = [*slopes, ((x - data) / sigma).ravel()][-order:]
        nodes = np.array(plan.sigma[max(0, i - order + 1) : i + 1])
        fit = np.polynomial.Polynomial.fit
        steps = [fit(nodes, y, len(nodes) - 1).integ() for y in np.array(slopes).T]
        x = x + np.array([[whole(new) - whole(sigma)] for whole in steps])
    found = walks.walk(DEIS(order=order), denoiser, plan, walks.starts(plan))[-1]
    assert torch.allclose(found, torch.from_numpy(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("family", [DEIS, IPNDM])
def test_order_one_is_ddim(walks, process, family):
    plan, denoiser = window(process, 9), MixtureDenoiser(process)
    ways = [
        walks.walk(sampler, denoiser, plan, walks.starts(plan))[-1]
        for sampler in (family(order=1), DDIM())
    ]
    assert torch.allclose(*ways, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", [DEIS, IPNDM])
@pytest.mark.parametrize("order", [2, 4])
def test_it_is_the_same_map_for_every_process_on_the_same_noise_ratios(
    walks, process, family, order
):
    ratios = torch.logspace(1, -1.3, 13, dtype=torch.float64)
    ends = []
    for scheduler in (process, ReferenceFlow()):
        plan = walks.plan_through(scheduler, ratios)
        start = torch.linspace(-5, 5, 7, dtype=torch.float64)[:, None] * plan.alpha[0]
        way = walks.walk(family(order=order), MixtureDenoiser(scheduler), plan, start)
        ends.append(way[-1] / plan.alpha[-1])
    assert torch.allclose(*ends, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("family", [DEIS, IPNDM])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_the_last_step_leads_to_clean_data_and_uses_all_estimates(process, family, steps):
    times = torch.linspace(process.t_max, process.t_min, steps + 1, dtype=torch.float64)
    plan = Plan.of(process, times)
    last = family(order=4).rows(plan)[-1]
    assert len(last.past) == min(steps, 4) - 1
    # Noise that all estimates agree on is taken away to the last bit that kappa has.
    allowed = 1e-13 * plan.sigma[-2] / max(plan.alpha[-2], 1e-3)
    assert last.x0 == 1
    assert last.eps + sum(last.past) == pytest.approx(0, abs=allowed)


@pytest.mark.parametrize("family", [DEIS, IPNDM])
def test_a_start_without_any_data_is_of_order_one(family):
    plan = Plan.of(ReferenceFlow(), torch.linspace(1, 0, 7, dtype=torch.float64))
    rows = family(order=4).rows(plan)
    assert [len(row.past) for row in rows] == [0, 1, 2, 3, 3, 3]
    assert rows[0] == (*DDIM().start(plan)[0][:2], (), 0.0)


def test_what_such_a_start_leaves_gives_the_slope_of_a_line_in_the_inverse():
    """eps = 1 + 3 / kappa from infinity on: the second step has its slope, -3 / kappa^2."""
    plan = Plan.of(ReferenceFlow(), torch.tensor([1.0, 0.9, 0.8, 0.7], dtype=torch.float64))
    kappa = [sigma / alpha for alpha, sigma in zip(plan.alpha[1:], plan.sigma[1:], strict=True)]
    row, h = DEIS(order=2).rows(plan)[1], kappa[1] - kappa[0]
    now, slope = 1 + 3 / kappa[0], -3 / kappa[0] ** 2
    found = (row.eps - plan.alpha[2] * kappa[0]) * now + row.past[0] * 1
    assert found == pytest.approx(plan.alpha[2] * (h * now + h**2 / 2 * slope), rel=1e-12)


@pytest.mark.parametrize("family", [DEIS, IPNDM])
def test_float32_is_as_good_as_float32_can_be(walks, process, family):
    plan, denoiser = window(process, 50), MixtureDenoiser(process)
    start = walks.starts(plan)
    exact, single = (
        walks.walk(family(order=4), denoiser, plan, x)[-1] for x in (start, start.float())
    )
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), exact, atol=1e-4)


def test_a_plan_of_very_unequal_steps_stays_finite(walks):
    plan = walks.plan_through(ReferenceVP(), [100.0, 99.9, 1.0, 0.999, 0.1])
    way = walks.walk(DEIS(order=4), MixtureDenoiser(ReferenceVP()), plan, walks.starts(plan))
    assert way[-1].abs().max() < 20
