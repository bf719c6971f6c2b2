"""The sampler laws find what they are there to find."""

import pytest
import torch
from attrs import frozen

from diffx_core import Plan, Sampler
from diffx_core.testing import SAMPLER_LAWS
from diffx_core.testing.oracle import GaussianDenoiser, ReferenceVP
from diffx_core.testing.probe import is_affine, response
from diffx_core.testing.sampler_laws import window
from diffx_samplers.ddim import DDIM
from diffx_samplers.one_step import Transition, advance
from diffx_samplers.predictor_corrector import PredictorCorrector

LAWS = {law.name: law for law in SAMPLER_LAWS}


@frozen(kw_only=True)
class Broken(Sampler):
    """DDIM with ancestral noise, and a way to go wrong."""

    bug: str = ""

    @property
    def stochastic(self):
        return self.bug != "silent"

    @property
    def nfe(self):
        return self.steps + (self.bug == "count" or (self.bug == "late" and self.steps > 3))

    @property
    def rate(self):
        return 2 if self.bug == "order" else 1

    def needs(self):
        return frozenset() if self.bug == "needs" else super().needs()

    def start(self, plan):
        table = DDIM(eta=1.0).start(plan)
        if self.bug == "noise":
            return tuple(Transition(a, b, 1.1 * c) for a, b, c in table)
        return table

    def step(self, denoise, x, i, plan, state, noise):
        if self.bug == "plane":
            x = x * (1 + 4 / x.shape[1] / self.steps)
        if self.bug == "loud" and self.steps < 5:
            x = x + 100
        if self.bug == "vectors":
            assert x.ndim == 2
        if self.bug == "batch":
            x = x - 0.01 * x.mean(0, keepdim=True)
        if self.bug == "global":
            x = x + 0.01 * torch.randn_like(x)
        if self.bug == "inplace":
            x.mul_(1.0 + 1e-9)
        t = plan.times[i] * (1 - 1e-6) if self.bug == "between" else plan.times[i]
        x = advance(denoise, x, t, state[i], noise)
        return (x / plan.alpha[0] if self.bug == "alpha" else x), state


BROKEN = [
    ("order", "the error falls with the declared order"),
    ("noise", "the error falls with the declared order"),
    ("noise", "samples have the standard deviation of the data"),
    ("count", "the declared number of network calls is made"),
    ("late", "the declared number of network calls is made"),
    ("batch", "a sample does not depend on its batch"),
    ("vectors", "a sample does not depend on its batch"),
    ("global", "the same seed gives the same sample"),
    ("plane", "so have samples in the plane"),
    ("silent", "noise is drawn only by a method that says so"),
    ("needs", "noise is drawn only by a method that says so"),
    ("inplace", "a state that was shown does not change"),
    ("alpha", "sampling begins where no data are left"),
    ("between", "in discrete time only known times are asked about"),
    ("loud", "one to three steps from pure noise do not explode"),
]


@pytest.mark.parametrize(("bug", "law"), BROKEN)
def test_a_broken_sampler_breaks_the_law(bug, law):
    with pytest.raises(AssertionError):
        LAWS[law].check(Broken(bug=bug))


def test_every_law_is_broken_by_something():
    assert {law for _, law in BROKEN} == set(LAWS)


@pytest.mark.parametrize("law", SAMPLER_LAWS, ids=str)
def test_the_same_sampler_without_a_bug_obeys_every_law(law):
    assert law.check(Broken()).holds


def test_probing_finds_every_coefficient_of_a_stochastic_sampler():
    scheduler = ReferenceVP()
    denoiser, plan = GaussianDenoiser(scheduler, mean=0.7, std=0.5), window(scheduler, 3)
    offset, gain, noise = response(DDIM(eta=1.0), denoiser, plan)
    expected_offset, expected_gain, expected_noise = 0.0, 1.0, []
    for i, row in enumerate(DDIM(eta=1.0).start(plan)):
        alpha, sigma = plan.alpha[i], plan.sigma[i]
        k = alpha * 0.25 / (alpha**2 * 0.25 + sigma**2)
        slope = row.x0 * k + row.eps * (1 - alpha * k) / sigma
        shift = (row.x0 - row.eps * alpha / sigma) * (1 - k * alpha) * 0.7
        expected_offset = slope * expected_offset + shift
        expected_gain *= slope
        expected_noise = [slope * b for b in expected_noise] + [row.noise]
    assert offset == pytest.approx(expected_offset, abs=1e-12)
    assert gain == pytest.approx(expected_gain, abs=1e-12)
    assert noise.tolist() == pytest.approx(expected_noise, abs=1e-12)


@frozen(kw_only=True)
class Demanding(Broken):
    """A sampler that needs what a process in discrete time has not."""

    def needs(self):
        return frozenset({"any_time"})


def test_a_sampler_that_refuses_discrete_time_is_not_called_measured():
    found = LAWS["in discrete time only known times are asked about"].measure(Demanding())
    assert not found.measured
    assert "Demanding needs any_time, which the scheduler Thousand does not offer" in found.detail


@frozen(kw_only=True)
class Normalising(Broken):
    """A sampler whose steps depend on x."""

    def step(self, denoise, x, i, plan, state, noise):
        x, state = super().step(denoise, x, i, plan, state, noise)
        return x * (1 + 0.01 * x.tanh()), state


def test_steps_that_depend_on_x_are_recognised_and_not_called_measured():
    denoiser, plan = GaussianDenoiser(ReferenceVP()), window(ReferenceVP(), 4)
    assert is_affine(PredictorCorrector(), denoiser, plan)
    assert not is_affine(Normalising(), denoiser, plan)
    assert not LAWS["the error falls with the declared order"].check(Normalising()).measured


def test_a_plan_that_is_not_clean_ends_at_the_last_noise_level():
    times = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)
    plan = Plan.of(ReferenceVP(), times, clean=False)
    assert plan.sigma[-1] == float(ReferenceVP().sigma(times[-1]))
    assert (Plan.of(ReferenceVP(), times).alpha[-1], Plan.of(ReferenceVP(), times).sigma[-1]) == (
        1,
        0,
    )
