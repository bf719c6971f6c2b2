"""Whether something draws from, or seeds, the random generators that a whole program shares."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from diffx_core.testing.law import Measurement

UNUSUAL = 0x5EED_0DD
"""A seed that nobody has: who sets one would else leave the state that an earlier call left."""


def left_alone(act: Callable[[], object]) -> Measurement:
    """One if the act has changed the state of a global generator; all are put back afterwards."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 - global
    _put(
        torch.Generator().manual_seed(UNUSUAL).get_state(),
        np.random.RandomState(UNUSUAL).get_state(),
        random.Random(UNUSUAL).getstate(),  # noqa: S311 - no secret
    )
    try:
        before = random_states()
        act()
        return Measurement(float(random_states() != before), 0.0)
    finally:
        _put(*kept)


def random_states() -> tuple[bytes, str, object]:
    """The states of all global random generators."""
    legacy = str(np.random.get_state())  # noqa: NPY002 - the global one is what must not change
    return torch.get_rng_state().numpy().tobytes(), legacy, random.getstate()


def _put(torch_state: torch.Tensor, numpy_state: Any, python_state: Any) -> None:  # noqa: ANN401  # opaque
    torch.set_rng_state(torch_state)
    np.random.set_state(numpy_state)  # noqa: NPY002 - as above
    random.setstate(python_state)
