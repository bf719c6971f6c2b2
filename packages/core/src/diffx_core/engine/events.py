"""What a training run tells its observers: facts, none of which leads back to the run."""

from pathlib import Path
from typing import Protocol, TypeAlias

from attrs import frozen
from torch import Tensor


@frozen
class Started:
    """The run is about to take its next step.

    Args:
        steps: how many steps it will have taken at its end.
        batch_size: examples in a step.
        parameters: numbers that are trained.
        step: how many have been taken before: of a run that is resumed, where it goes on.
    """

    steps: int
    batch_size: int
    parameters: int
    step: int = 0


@frozen
class Stepped:
    """The optimizer has stepped.

    Args:
        step: how many steps have been taken.
        loss: of this step.
        lr: of this step.
        grad_norm: before clipping.
        seconds: since this process began to train.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float


@frozen
class Bin:
    """The loss at the noise levels of one interval.

    Args:
        low: the smallest log-SNR in it.
        high: the largest.
        loss: the mean loss of the examples in it.
        count: how many they are.
    """

    low: float
    high: float
    loss: float
    count: int


@frozen
class Validated:
    """The loss of held-out examples has been measured.

    Args:
        step: how many steps have been taken.
        loss: the mean over all of them.
        bins: the same by log-SNR.
    """

    step: int
    loss: float
    bins: tuple[Bin, ...] = ()


@frozen(eq=False)
class Sampled:
    """Samples have been drawn from the averaged weights, with the same noise as ever.

    Args:
        step: how many steps have been taken.
        images: (B, C, H, W) bytes, on the CPU; one channel or three.
    """

    step: int
    images: Tensor


@frozen
class Saved:
    """A checkpoint is complete.

    Args:
        step: how many steps had been taken.
        path: its folder.
    """

    step: int
    path: Path


@frozen
class Finished:
    """No further step is taken.

    Args:
        step: how many steps have been taken.
        seconds: since this process began to train.
        reason: why the run ended before its last step; empty if it did not.
    """

    step: int
    seconds: float
    reason: str = ""


Event: TypeAlias = Started | Stepped | Validated | Sampled | Saved | Finished


class Observer(Protocol):
    """Whoever wants to know. It must not change the run."""

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        ...
