"""Processes that the tests of the objective share: continuous, singular, and in discrete time."""

import pytest
import torch
from attrs import frozen

from diffx_core import Scheduler
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP


@frozen
class Trigonometric(Scheduler):
    """Variance preserving, singular at both ends."""

    def alpha(self, t):
        return (torch.pi / 2 * (1 - t)).sin()

    def sigma(self, t):
        return (torch.pi / 2 * t).sin()


@frozen
class InSteps(Trigonometric):
    """The same in 40 steps, the last of which leaves nothing of the data."""

    def grid(self):
        return torch.arange(1, 41, dtype=torch.float64) / 40


PROCESSES = {
    "vp": ReferenceVP(),
    "ve": ReferenceVE(),
    "flow": ReferenceFlow(),
    "trig": Trigonometric(),
    "steps": InSteps(),
}


@pytest.fixture(params=PROCESSES)
def process(request):
    """Each process in turn."""
    return PROCESSES[request.param]


@pytest.fixture(params=[name for name in PROCESSES if name != "steps"])
def continuous(request):
    """Each process in continuous time."""
    return PROCESSES[request.param]


@pytest.fixture
def in_steps():
    """The process in discrete time."""
    return InSteps()
