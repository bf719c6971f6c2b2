"""A pair that cannot work is refused before there is a network, with who needs what."""

import pytest
import torch
from attrs import frozen

from diffx_core import ConfigError, Sampler, require
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun


@frozen(kw_only=True)
class Jumping(Sampler):
    """A sampler that needs something of its own."""

    wants: frozenset = frozenset({"jumps"})

    def needs(self):
        return self.wants

    def start(self, plan):
        if plan.steps == 13:
            raise ConfigError("thirteen steps are none too many")

    def step(self, denoise, x, i, plan, state, noise):
        raise AssertionError("no network is asked")


@frozen
class Springy(ReferenceVP):
    """A process that has it, at ten times."""

    def offers(self):
        return frozenset({"jumps"})

    def grid(self):
        return torch.arange(1, 11, dtype=torch.float64) / 10


def test_a_word_of_ones_own_is_needed_and_offered():
    require(Jumping(steps=10), Springy())
    with pytest.raises(ConfigError, match=r"Jumping needs jumps, which the scheduler ReferenceVP"):
        require(Jumping(), ReferenceVP())


def test_the_refusal_says_all_that_is_missing_and_what_is_there():
    wants = frozenset({"any_time", "jumps", "wings"})
    names = ("jumping (diffx-a 1.0)", "springy (diffx-b 2.0)")
    with pytest.raises(ConfigError) as caught:
        require(Jumping(wants=wants), Springy(), names)
    assert str(caught.value) == (
        "the sampler jumping (diffx-a 1.0) needs any_time, wings, which the scheduler "
        "springy (diffx-b 2.0) does not offer; it offers jumps"
    )


def test_only_a_process_in_continuous_time_is_known_at_any_time():
    wants = Jumping(wants=frozenset({"any_time"}))
    require(wants, ReferenceFlow())
    with pytest.raises(ConfigError, match="needs any_time"):
        require(wants, Springy())


def test_more_steps_than_there_are_times_are_refused():
    with pytest.raises(ConfigError, match=r"10 times: it cannot take 11 steps"):
        require(Jumping(steps=11), Springy())


def test_what_the_steps_refuse_is_refused():
    with pytest.raises(ConfigError, match="thirteen"):
        require(Jumping(steps=13, wants=frozenset()), ReferenceVP())


def test_the_times_are_those_of_the_process():
    plan = require(Jumping(steps=4), Springy())
    assert set(plan.times[:-1]) <= set(Springy().grid().tolist())
    assert (plan.alpha[-1], plan.sigma[-1]) == (1.0, 0.0)


@pytest.mark.parametrize("nfe", [1, 2, 19, 20, 99_999])
def test_a_number_of_calls_is_met_exactly_or_those_around_it_are_named(nfe):
    assert DDIM().with_nfe(nfe).steps == nfe
    if nfe % 2:
        assert Heun().with_nfe(nfe).nfe == nfe
    else:
        with pytest.raises(ConfigError, match=f"{nfe} .*; {nfe - 1} and {nfe + 1} are possible"):
            Heun().with_nfe(nfe)


@pytest.mark.parametrize("nfe", [0, 10**6, 10**11])
def test_a_number_of_calls_beyond_reason_is_refused_at_once(nfe):
    with pytest.raises(ConfigError, match="must be from 1 to 100000"):
        DDIM().with_nfe(nfe)
