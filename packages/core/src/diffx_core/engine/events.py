"""What a training run tells its observers."""

from typing import Protocol

from attrs import frozen


@frozen
class Started:
    """The run is about to take its first step.

    Args:
        steps: how many steps it will take.
        batch_size: examples in a step.
        parameters: numbers that are trained.
    """

    steps: int
    batch_size: int
    parameters: int


@frozen
class Stepped:
    """The optimizer has stepped.

    Args:
        step: how many steps have been taken.
        loss: of this step.
        lr: of this step.
        grad_norm: before clipping.
        seconds: since the run started.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float


@frozen
class Finished:
    """The last step has been taken.

    Args:
        step: how many steps have been taken.
        seconds: since the run started.
    """

    step: int
    seconds: float


Event = Started | Stepped | Finished


class Observer(Protocol):
    """Whoever wants to know. It must not change the run."""

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        ...
