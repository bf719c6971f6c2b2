"""RePaint: repeated steps keep the law, are counted, and make the unknown agree with the known."""

import math

import pytest
import torch
from attrs import evolve, frozen

from diffx_core import BrownianSource, Mask, NoiseSource, Plan, Replacement, sample
from diffx_core.estimate import from_x0
from diffx_core.testing import GaussianDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceVP
from diffx_core.testing.probe import law_error
from diffx_samplers.ddim import DDIM
from diffx_samplers.ddpm import DDPM
from diffx_samplers.repaint import RePaint


class TestRePaint(SamplerSuite):
    def component(self):
        return RePaint(resamples=3)


class TestRePaintOfDDIM(SamplerSuite):
    def component(self):
        return RePaint(rule="ddim", jump=4, resamples=2)


@pytest.mark.parametrize(("rule", "alone"), [("ancestral", DDPM()), ("ddim", DDIM())])
def test_without_repeats_it_is_the_rule(rule, alone, process):
    noise, denoiser = NoiseSource(0, range(3), dtype=torch.float64), GaussianDenoiser(process)
    found = sample(RePaint(rule=rule, resamples=1, steps=25), denoiser, (2,), noise=noise)
    assert torch.equal(found, sample(evolve(alone, steps=25), denoiser, (2,), noise=noise))


@pytest.mark.parametrize(
    ("steps", "jump", "resamples", "nfe"),
    [(250, 10, 10, 250 + 9 * 240), (1, 1, 5, 1), (2, 1, 5, 6), (11, 5, 2, 21), (10, 5, 2, 15)],
)
def test_every_repeated_step_costs_a_call(steps, jump, resamples, nfe):
    sampler, denoiser = (
        RePaint(steps=steps, jump=jump, resamples=resamples),
        GaussianDenoiser(ReferenceVP()),
    )
    sample(sampler, denoiser, (1,), noise=NoiseSource(0, [0], dtype=torch.float64))
    assert len(denoiser.calls) == sampler.nfe == nfe


def test_the_steps_before_a_jump_are_those_after_it():
    """Five steps with jumps of two, twice each: 0 | 1 2, 1 2 | 3 4, 3 4 | 5, counted from zero."""
    sampler, denoiser = RePaint(steps=5, jump=2, resamples=2), GaussianDenoiser(ReferenceVP())
    sample(sampler, denoiser, (1,), noise=NoiseSource(0, [0], dtype=torch.float64))
    times = sampler.times(ReferenceVP(), 1.0).tolist()
    assert [times.index(t) for t in denoiser.calls] == [0, 1, 0, 1, 2, 3, 2, 3, 4]


def test_a_jump_and_the_way_back_keep_the_marginal_to_the_second_order(process):
    """From an exact law, a jump of a few short steps, many times, against the length of a step."""

    def error(h):
        ratios = torch.exp(-h * torch.arange(5, dtype=torch.float64))
        plan = Plan.of(process, process.time_of(-2 * ratios.log()), clean=False)
        sampler = RePaint(rule="ddim", jump=3, resamples=4)
        return law_error(sampler, GaussianDenoiser(process, mean=0.0), plan)

    coarse, fine = error(0.02), error(0.01)
    assert math.log2(coarse / fine) >= 1.9


@pytest.mark.parametrize("source", [NoiseSource, BrownianSource])
def test_every_draw_is_different(source):
    seen = []

    class Heard:
        device = torch.device("cpu")

        def normal(self, shape, step, substep=0, span=None):
            seen.append(source(0, [0], dtype=torch.float64).normal(shape, step, substep, span))
            return seen[-1]

    sampler = RePaint(rule="ancestral", steps=9, jump=3, resamples=3)
    sample(sampler, GaussianDenoiser(ReferenceVP()), (4,), noise=Heard())
    assert len(seen) == 1 + (sampler.nfe - 1) + 2 * 2  # start, steps but the last, two jumps twice
    assert len({tuple(one.flatten().tolist()) for one in seen}) == len(seen)


@frozen(eq=False)
class Pair(GaussianDenoiser):
    """Two numbers that are nearly the same: correlated by 0.99, each standard normal."""

    def __call__(self, x, t, cond=None):
        at = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = float(self.scheduler.alpha(at)), float(self.scheduler.sigma(at))
        own = torch.tensor([[1.0, 0.99], [0.99, 1.0]], dtype=x.dtype)
        gain = alpha * own @ torch.linalg.inv(alpha**2 * own + sigma**2 * torch.eye(2).to(x))
        return from_x0(x, x @ gain, alpha, sigma)


def test_jumps_make_the_unknown_agree_with_the_known():
    """x_2 given x_1 = y has the mean 0.99 y, which is missed without jumps."""
    noise = NoiseSource(0, range(400), dtype=torch.float64)
    prior, y = Pair(ReferenceVP()), torch.tensor([1.5, 0.0], dtype=torch.float64)
    known = Mask(torch.tensor([1.0, 0.0], dtype=torch.float64))

    def drawn(resamples):
        model = Replacement(prior, mask=known, measurement=y, noise=noise.named("replacement"))
        sampler = RePaint(steps=60, jump=5, resamples=resamples)
        return sample(sampler, model, (2,), noise=noise)[:, 1]

    away = [abs(float(drawn(n).mean()) - 0.99 * 1.5) for n in (1, 20)]
    assert away[0] > 0.2
    assert away[1] < 0.1
