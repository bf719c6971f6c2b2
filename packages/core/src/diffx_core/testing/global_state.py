"""Whether something draws from, or seeds, the random generators that a whole program shares."""

import random
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from diffx_core.testing.law import Measurement

States: TypeAlias = tuple[Tensor, Any, tuple[Any, ...]]
"""Of the generators of torch, of numpy's older interface, and of Python."""
UNUSUAL = 0x5EED_0DD
"""A seed that nobody has: who sets one would else leave the state that an earlier call left."""


def left_alone(act: Callable[[], object]) -> Measurement:
    """One if the act has changed the state of a global generator; all are put back afterwards."""
    kept = random_states()
    put(
        (
            torch.Generator().manual_seed(UNUSUAL).get_state(),
            np.random.RandomState(UNUSUAL).get_state(),
            random.Random(UNUSUAL).getstate(),  # noqa: S311 - no secret
        )
    )
    try:
        before = random_states()
        act()
        return Measurement(float(not equal(random_states(), before)), 0.0)
    finally:
        put(kept)


def random_states() -> States:
    """The states of all global random generators."""
    legacy = np.random.get_state()  # noqa: NPY002 - the global one is what must not change
    return torch.get_rng_state(), legacy, random.getstate()


def put(states: States) -> None:
    """Give the global random generators these states."""
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002 - as above
    random.setstate(states[2])


def equal(some: States, others: States) -> bool:
    """Whether every generator is in the same state."""
    return _plain(some) == _plain(others)


def _plain(states: States) -> tuple[object, ...]:
    tensor, (_, keys, *place), python = states
    return tensor.tolist(), keys.tolist(), place, python
