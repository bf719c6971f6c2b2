"""What a user should know about a combination that works, but perhaps not as they expect."""

from collections.abc import Iterator

from diffx_core.options import EmaOptions, TrainOptions
from diffx_core.scheduler import Scheduler
from diffx_core.swap import MUCH, data_left


def remarks(scheduler: Scheduler, label: str, sigma_data: float) -> list[str]:
    """One line for each thing worth knowing.

    Args:
        scheduler: the process.
        label: who it is, for messages.
        sigma_data: root mean square of the data.
    """
    left = data_left(scheduler, sigma_data)
    if not left > MUCH or is_anchored(scheduler):
        return []
    line = (
        f"{label} ends at t = {scheduler.t_max:g} with {left:.2g} times as much data as noise, but"
        " sampling begins with noise alone: samples may be off in brightness and contrast; options"
        " that let it end with more noise avoid that"
    )
    return [line]


def unreached(train: TrainOptions, ema: EmaOptions) -> Iterator[str]:
    """One line for each option that was given and has no effect before the last step.

    Args:
        train: how long training is.
        ema: how weights are averaged.
    """
    default = TrainOptions().warmup
    for name, steps, effect in (
        ("train.warmup", train.warmup, "the learning rate never gets to the one that is wanted"),
        ("ema.start", ema.start, "samples are drawn from the weights themselves"),
        ("ema.snapshot_every", ema.snapshot_every, "only the last step has a snapshot"),
    ):
        if steps is not None and steps > train.steps and (name, steps) != ("train.warmup", default):
            yield f"--{name} is {steps}, more than --train.steps, which is {train.steps}: {effect}"


def is_anchored(scheduler: Scheduler) -> bool:
    """Whether the process ends at a point that the condition decides on, and so may keep data."""
    return type(scheduler).anchor is not Scheduler.anchor
