"""The figures of an event by name, and how fast a run is: what several observers write."""

from attrs import define, field

from diffx_core.engine.events import Event, Started, Stepped, Validated


@define
class Pace:
    """How many steps a run has to take, and how fast it takes them.

    Args:
        started: where this process began.
        every: steps between two of which the figures are wanted. Those of the last are, always.
    """

    started: Started = field(factory=lambda: Started(0, 0, 0))
    every: int = 1

    def heard(self, event: Event) -> None:
        """Take note of the start."""
        if isinstance(event, Started):
            self.started = event

    def is_wanted(self, event: Stepped) -> bool:
        """Whether it is time: the very first step counts, too."""
        return event.step % self.every == 0 or event.step in {1, self.started.steps}

    def examples_per_second(self, event: Stepped) -> float:
        """The mean since this process began to train."""
        steps = event.step - self.started.step
        return steps * self.started.batch_size / max(event.seconds, 1e-9)

    def seconds_left(self, event: Stepped) -> float:
        """How long the rest takes at this pace."""
        steps = max(event.step - self.started.step, 1)
        return event.seconds / steps * (self.started.steps - event.step)


def of_step(event: Stepped, pace: Pace) -> dict[str, float]:
    """The figures of a step."""
    return {
        "loss": event.loss,
        "lr": event.lr,
        "grad_norm": event.grad_norm,
        "examples_per_second": pace.examples_per_second(event),
    }


def of_validation(event: Validated) -> dict[str, float]:
    """The held-out losses, each by a name of its own; bin 1 has the most noise."""
    bins = {
        f"validation/bin_{number}": one.loss
        for number, one in enumerate(event.bins, 1)
        if one.count
    }
    return {"validation/loss": event.loss, **bins}
