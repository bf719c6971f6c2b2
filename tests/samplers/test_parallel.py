"""Parallel sampling: the fixed point is the sequential run, and comes in fewer calls."""

import pytest
import torch

from diffx_core import Condition, NoiseSource, Plan, sample
from diffx_core.testing import GaussianDenoiser, MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.parallel import Parallel, Sweeps
from diffx_samplers.rules import RULES


class TestExact(SamplerSuite):
    def component(self):
        return Parallel(tolerance=0.0, window=16)


class TestTolerant(SamplerSuite):
    def component(self):
        return Parallel()


class TestAncestral(SamplerSuite):
    def component(self):
        return Parallel(rule="ancestral", window=20)


class Counted(MixtureDenoiser):
    """Counts calls, not examples."""

    sweeps = 0

    def __call__(self, x, t, cond=None):
        type(self).sweeps += 1
        return super().__call__(x, t, cond)


def noise_of(count):
    return NoiseSource(0, range(count), dtype=torch.float64)


@pytest.mark.parametrize("window", [0, 1, 5])
@pytest.mark.parametrize("rule", sorted(RULES))
def test_without_a_tolerance_it_is_the_sequential_run(process, rule, window):
    steps = 14
    sampler = Parallel(rule=rule, window=window, tolerance=0.0, steps=steps)
    denoiser = MixtureDenoiser(process)
    states = []
    sample(sampler, denoiser, (3,), noise=noise_of(4), observe=lambda r: states.append(r.x))
    expected = []
    one = type(RULES[rule])(**{**_options(RULES[rule]), "steps": steps})
    sample(one, denoiser, (3,), noise=noise_of(4), observe=lambda r: expected.append(r.x))
    assert len(states) == steps
    for found, right in zip(states, expected, strict=True):
        assert torch.allclose(found, right, rtol=1e-12, atol=1e-12)


def _options(rule):
    names = {one.name for one in type(rule).__attrs_attrs__} - {"steps"}
    return {name: getattr(rule, name) for name in names}


def test_after_k_sweeps_the_first_k_points_are_exact(walks, process):
    plan = walks.plan_through(process, torch.logspace(1, -1.3, 13, dtype=torch.float64))
    denoiser, rule = MixtureDenoiser(process), RULES["ddim"]
    x = walks.starts(plan)
    right = walks.walk(rule, denoiser, plan, x)

    def ask(x, t, rows=None):
        return denoiser(x, t)

    sweeps = Sweeps(rule.table(plan), ask, x, plan, None)
    for k in range(1, plan.steps + 1):
        sweeps.sweep(plan.steps, 0.0)
        assert sweeps.behind >= k
        for j in range(k + 1):
            assert torch.allclose(sweeps.state(j), right[j], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0.1, 0.01])
def test_a_tolerance_saves_calls_and_is_kept(tolerance):
    denoiser = Counted(ReferenceVP())
    Counted.sweeps = 0
    sampler = Parallel(steps=64, window=32, tolerance=tolerance)
    found = sample(sampler, denoiser, (16,), noise=noise_of(1))
    calls = Counted.sweeps
    exact = sample(RULES["ddim"], denoiser, (16,), noise=noise_of(1), plan=_plan(sampler))
    assert calls < 32
    assert float((found - exact).square().mean().sqrt()) < tolerance


def _plan(sampler):
    scheduler = ReferenceVP()
    return Plan.of(scheduler, sampler.times(scheduler, scheduler.t_max))


def test_every_point_of_a_window_is_told_of_its_own_sample():
    class Told(GaussianDenoiser):
        def __call__(self, x, t, cond=None):
            assert len(cond.label) == len(x)
            estimate = super().__call__(x, t)
            return type(estimate)(x, estimate.output + cond.label[:, None], estimate.decoding)

    label = torch.tensor([0, 3, 5])
    noise = noise_of(3)
    args = (Told(ReferenceVP()), (2,))
    cond = Condition(label)
    found = sample(Parallel(tolerance=0.0, steps=9), *args, noise=noise, cond=cond)
    right = sample(type(RULES["ddim"])(steps=9), *args, noise=noise, cond=cond)
    assert torch.allclose(found, right, atol=1e-12)
