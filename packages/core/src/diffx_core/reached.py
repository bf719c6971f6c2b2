"""Where sampling stands after a step, and whose fault it is if that is nowhere."""

from typing import NamedTuple

from torch import Tensor

from diffx_core.errors import ComponentError, ConfigError
from diffx_core.estimate import Estimate


class Reached(NamedTuple):
    """Where sampling stands after a step.

    Args:
        step: how many steps are done.
        t: the time that was reached.
        x: the state.
        estimate: what the model said last.
        calls: how often it has been asked.
    """

    step: int
    t: float
    x: Tensor
    estimate: Estimate
    calls: int


def finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite."""
    # A sum is finite only if all are, and takes a fortieth of the time of asking each of them.
    return bool(x.sum().isfinite()) or bool(x.isfinite().all())


def require_finite(x: Tensor, name: str) -> None:
    """Refuse examples x (n, *) with numbers that are not finite."""
    if not finite(x):
        bad = (~x.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
        raise ConfigError(f"{name} has numbers that are not finite, in examples {bad[:8]}")


def sound(reached: Reached) -> Reached:
    """The state, if it is finite.

    Raises:
        ComponentError: it is not; whose fault that is.
    """
    if not finite(reached.x) and (fault := fault_of(reached)):
        raise fault
    return reached


def fault_of(reached: Reached) -> ComponentError | None:
    """Who broke a run, which is repeated to find out: sound runs need not look at each step."""
    place = where(reached.step, reached.t)
    if not reached.estimate.output.isfinite().all():
        return ComponentError("backbone", f"returned numbers that are not finite {place}")
    if not reached.x.isfinite().all():
        return ComponentError("sampler", f"made numbers that are not finite {place}")
    return None


def where(step: int, t: float) -> str:
    """A step, as messages have it."""
    return f"at step {step}, which leads to t = {t:g}"
