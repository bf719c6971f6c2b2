"""Who uses the random generators of the whole program is seen, also where it sets their state."""

import random

import numpy as np
import pytest
import torch

from diffx_core.testing.global_state import equal, left_alone, put, random_states

TOUCHES = {
    "draws": lambda: torch.rand(1),
    "draws of numpy": np.random.rand,
    "draws of Python": random.random,
    "seeds": lambda: torch.manual_seed(0),
    "seeds numpy": lambda: np.random.seed(0),  # noqa: NPY002 - what is tested
    "seeds Python": lambda: random.seed(0),
}


@pytest.mark.parametrize("name", TOUCHES)
def test_it_is_seen_where_an_earlier_call_has_left_the_same_state(name):
    kept = random_states()
    TOUCHES[name]()
    states = random_states()
    found = left_alone(TOUCHES[name])
    assert equal(random_states(), states)
    assert not equal(kept, states)
    put(kept)
    assert (found.holds, found.figure) == (False, 1)


def test_generators_of_its_own_are_nobodys_business():
    assert left_alone(lambda: torch.rand(1, generator=torch.Generator().manual_seed(0))).holds
