"""Restart: the law stays right, the calls are counted, the times are the process's own."""

import pytest
import torch
from attrs import frozen

from diffx_core import BrownianSource, ConfigError, NoiseSource, Plan, sample
from diffx_core.testing import GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceVP
from diffx_core.testing.probe import law_error
from diffx_core.testing.sampler_laws import window
from diffx_samplers.heun import Heun
from diffx_samplers.restart import Restart


class TestRestart(SamplerSuite):
    def component(self):
        return Restart()


class TestRestartOfDDIM(SamplerSuite):
    def component(self):
        return Restart(inner="ddim", low=0.1, high=1.0, repeats=3)


class TestNoRestart(SamplerSuite):
    def component(self):
        return Restart(repeats=0)


def test_without_repeats_it_is_the_inner_method(process):
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    denoiser = GaussianDenoiser(process)
    found = sample(Restart(repeats=0, steps=8), denoiser, (2,), noise=noise)
    assert torch.equal(found, sample(Heun(steps=8), denoiser, (2,), noise=noise))


@pytest.mark.parametrize(("steps", "nfe"), [(18, 35 + 2 * 7), (1, 1 + 2), (50, 99 + 2 * 19)])
def test_the_calls_of_the_repeats_count(steps, nfe):
    sampler, denoiser = Restart(steps=steps), GaussianDenoiser(ReferenceVP())
    sample(sampler, denoiser, (1,), noise=NoiseSource(0, [0], dtype=torch.float64))
    assert len(denoiser.calls) == sampler.nfe == nfe


def test_a_jump_and_the_way_back_keep_the_marginal_to_second_order(process):
    """The repeats are all that is tested: the plan begins where they do, with an exact law."""

    def error(steps):
        ratios = torch.logspace(-0.5, -1.2, steps + 1, dtype=torch.float64)
        plan = Plan.of(process, process.time_of(-2 * ratios.log()), clean=False)
        sampler = Restart(low=float(ratios[-1]), high=float(ratios[0]), repeats=3, share=1.0)
        return law_error(sampler, GaussianDenoiser(process), plan)

    coarse, fine = error(40), error(80)
    assert coarse / fine == pytest.approx(4, rel=0.1)


def test_restarts_forget_what_was_wrong_before():
    """A start far from the marginal is contracted, which the ODE alone cannot."""
    plan, denoiser = window(ReferenceVP(), 60), GaussianDenoiser(ReferenceVP())
    wrong = torch.full((2, 1), 30.0, dtype=torch.float64)
    noise = NoiseSource(0, range(2), dtype=torch.float64)
    away = [
        float((sample(s, denoiser, (1,), noise=noise, plan=plan, start=wrong) - 0.7).abs().max())
        for s in (Restart(repeats=0), Restart(high=1.0, repeats=4))
    ]
    assert away[1] < away[0] / 2


def test_each_repeat_draws_new_noise_from_a_path_too():
    class Heard(BrownianSource):
        def normal(self, shape, step, substep=0, span=None):
            drawn = super().normal(shape, step, substep, span)
            seen.append(drawn)
            return drawn

    seen = []
    sampler = Restart(repeats=3, steps=10)
    sample(sampler, GaussianDenoiser(ReferenceVP()), (5,), noise=Heard(0, [0], dtype=torch.float64))
    assert len(seen) == 1 + 3
    assert len({tuple(one.flatten().tolist()) for one in seen}) == 4


@frozen
class Hundred(ReferenceVP):
    """A process in discrete time."""

    def grid(self):
        return torch.arange(1, 101, dtype=torch.float64) / 100


def test_repeats_go_through_times_that_the_process_knows():
    denoiser = GaussianDenoiser(Hundred())
    noise = NoiseSource(0, [0], dtype=torch.float64)
    sample(Restart(low=0.3, high=2.0, steps=20), denoiser, (1,), noise=noise)
    known = set(Hundred().grid().tolist())
    assert set(denoiser.calls) <= known


def test_repeats_of_more_steps_than_there_are_times_are_refused():
    with pytest.raises(ConfigError, match=r"no 18 steps lead from sigma / alpha = 0.3 down"):
        sample(
            Restart(steps=90),
            GaussianDenoiser(Hundred()),
            (1,),
            noise=NoiseSource(0, [0], dtype=torch.float64),
        )


def test_low_must_be_below_high():
    with pytest.raises(ConfigError, match=r"low must be below high, got 0.5 and 0.3"):
        Restart(low=0.5)
