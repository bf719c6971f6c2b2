"""What every duty is, and how the average is shown to one that judges it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from diffx_core.engine.events import Event
from diffx_core.engine.learner import Learner

Tell = Callable[[Event], None]


class Duty(Protocol):
    """Something to be done after some steps. It must not change what is learned."""

    def __call__(self, learner: Learner, tell: Tell) -> str:
        """Do it, if it is time; returns why training should end, or nothing."""
        ...


def due(step: int, every: int | None) -> bool:
    """Whether it is time."""
    return every is not None and step % every == 0


@contextmanager
def judged(learner: Learner) -> Iterator[None]:
    """The network carries the averaged weights and learns nothing."""
    learning = learner.model.training
    with learner.average.applied(), torch.random.fork_rng(devices=devices_of(learner)):
        learner.model.eval()
        try:
            yield
        finally:
            learner.model.train(learning)


def devices_of(learner: Learner) -> list[torch.device]:
    """Where generators are that the network may draw from, besides the CPU's."""
    return [one for one in {p.device for p in learner.model.parameters()} if one.type == "cuda"]
