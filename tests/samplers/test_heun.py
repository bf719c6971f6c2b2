"""Heun: second order at every limit, with churn too."""

import math

import pytest
import torch
from attrs import frozen

from diffx_core import ConfigError, NoiseSource, Plan, sample
from diffx_core.grids import legal
from diffx_core.testing import GaussianDenoiser, MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_core.testing.probe import law_error
from diffx_core.testing.sampler_laws import window
from diffx_samplers.heun import Heun


class TestHeun(SamplerSuite):
    def component(self):
        return Heun()


class TestHeunEDM(SamplerSuite):
    def component(self):
        return Heun(coords="edm")


class TestChurn(SamplerSuite):
    def component(self):
        return Heun(s_churn=20.0)


class TestChurnEDM(SamplerSuite):
    def component(self):
        return Heun(coords="edm", s_churn=40.0, s_tmin=0.05, s_tmax=50.0, s_noise=1.003)


def edm(denoiser, plan, x, draws, sampler):
    """Karras et al. 2022, algorithm 2, in x / alpha; draws are its noises."""
    levels = [s / a for s, a in zip(plan.sigma, plan.alpha, strict=True)]
    gamma = min(sampler.s_churn / plan.steps, math.sqrt(2) - 1)
    x = x / plan.alpha[0]

    def slope(x, level):
        t = float(plan.scheduler.time_of(torch.tensor(-2 * math.log(level), dtype=torch.float64)))
        alpha = float(plan.scheduler.alpha(torch.tensor(t, dtype=torch.float64)))
        return (x - denoiser(x * alpha, t).x0) / level

    for i in range(plan.steps):
        level = levels[i]
        if sampler.s_tmin <= level <= sampler.s_tmax and i:  # no noisier than the start
            higher = level * (1 + gamma)
            x = x + math.sqrt(higher**2 - level**2) * sampler.s_noise * draws[i]
            level = higher
        d = slope(x, level)
        euler = x + (levels[i + 1] - level) * d
        if i + 1 == plan.steps:
            return euler * plan.alpha[-1]
        x = x + (levels[i + 1] - level) * (d + slope(euler, levels[i + 1])) / 2
    raise AssertionError


@pytest.mark.parametrize("churn", [0.0, 4.0, 1000.0])
def test_with_coords_edm_it_is_the_published_method(walks, process, churn):
    plan = walks.plan_through(process, torch.logspace(1.5, -1.3, 13, dtype=torch.float64))
    denoiser, x = MixtureDenoiser(process), walks.starts(plan)
    sampler = Heun(coords="edm", s_churn=churn, s_tmin=0.1, s_tmax=20.0, s_noise=1.003)
    draws = [torch.full_like(x, 0.3 * (-1) ** i) for i in range(plan.steps)]
    state, found = sampler.start(plan), x
    for i in range(plan.steps):
        found, state = sampler.step(denoiser, found, i, plan, state, lambda span, i=i: draws[i])
    assert torch.allclose(found, edm(denoiser, plan, x, draws, sampler), rtol=1e-9)


def test_in_flow_coordinates_it_is_the_trapezoidal_rule_on_straight_lines(walks):
    """For rectified flow y is x and s is t, so the rule must be Heun's on the velocity in t."""
    scheduler, denoiser = ReferenceFlow(), MixtureDenoiser(ReferenceFlow())
    plan = Plan.of(scheduler, torch.linspace(1, 0.3, 13, dtype=torch.float64), clean=False)
    x = found = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for i in range(plan.steps - 1):
        t, s = plan.times[i], plan.times[i + 1]
        first = denoiser(x, t).mix(-1.0, 1.0)
        x = x + (s - t) / 2 * (first + denoiser(x + (s - t) * first, s).mix(-1.0, 1.0))
    found = walks.walk(Heun(), denoiser, plan, found)[-2]
    assert torch.allclose(found, x, rtol=1e-12, atol=1e-12)


def test_flow_coordinates_are_the_more_accurate_at_few_steps(process):
    """Root mean square over a mixture, on every grid together: by half or more."""
    noise = NoiseSource(0, range(1), dtype=torch.float64)
    denoiser = MixtureDenoiser(process)
    logs = {"edm": 0.0, "flow": 0.0}
    for coords in logs:
        for grid in ("uniform", "karras", "logsnr", "flow"):
            for steps in (5, 8, 15):
                sampler = Heun(coords=coords, grid=grid, steps=steps)
                start = noise.normal((400,), 0) * process.prior_std()
                found = sample(sampler, denoiser, (400,), noise=noise, start=start)
                exact = denoiser.flow(start, process.t_max, max(process.t_min, 1e-4))
                logs[coords] += float((found - exact).square().mean().log()) / 2
    assert (logs["flow"] - logs["edm"]) / 12 < -math.log(1.3)


@frozen
class Hundred(ReferenceVP):
    """A process in discrete time."""

    def grid(self):
        return torch.arange(1, 101, dtype=torch.float64) / 100


@pytest.mark.parametrize("sampler", [Heun(s_churn=15.0, steps=12), Heun(steps=5)])
def test_churn_goes_to_levels_that_the_process_knows_and_says_so_beforehand(sampler):
    denoiser = GaussianDenoiser(Hundred())
    sample(sampler, denoiser, (1,), noise=NoiseSource(0, [0], dtype=torch.float64))
    assert set(denoiser.calls) <= set(Hundred().grid().tolist())
    plan = Plan.of(Hundred(), legal(Hundred(), sampler.times(Hundred(), 1.0)))
    assert set(denoiser.calls) == set(sampler.asks(plan))


def test_churn_keeps_the_marginal():
    """From an exact law, to the second order of a step, whatever the amount of noise."""
    for churn in (5.0, 40.0):
        coarse, fine = (
            law_error(
                Heun(s_churn=churn), GaussianDenoiser(ReferenceVP()), window(ReferenceVP(), n)
            )
            for n in (160, 320)
        )
        assert coarse / fine == pytest.approx(4, rel=0.1)


def test_a_window_of_churn_must_not_be_empty():
    with pytest.raises(ConfigError, match=r"s_tmin must be below s_tmax, got 2.0 and 1.0"):
        Heun(s_tmin=2.0, s_tmax=1.0)
