"""Where sampling stands after a step, and whose fault it is if that is nowhere."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
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


def sane(estimate: Estimate) -> bool:
    """Whether all that an estimate is made of is finite."""
    return finite(estimate.output) and finite(estimate.x)


def numbers(name: str, value: object) -> Tensor:
    """A tensor, also of an array, whose numbers are all finite.

    Raises:
        ConfigError: it is none, or not all of them are.
    """
    found = tensor(name, value)
    if not finite(found):
        raise ConfigError(f"{name} has numbers that are not finite")
    return found


def tensor(name: str, value: object) -> Tensor:
    """A tensor, also of an array.

    Raises:
        ConfigError: it is neither.
    """
    try:
        if value is not None and not isinstance(value, str):
            return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise ConfigError(f"{name} must be a tensor or an array, got a {type(value).__name__}")


def require_finite(x: Tensor, name: str) -> None:
    """Refuse examples x (n, *) with numbers that are not finite."""
    if not finite(x):
        bad = (~x.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
        raise ConfigError(f"{name} has numbers that are not finite, in examples {bad[:8]}")


def sound(reached: Reached) -> Reached:
    """The state, if it is finite.

    Raises:
        ComponentError: it is not, and what the model said was (see `fault_of`).
    """
    if not finite(reached.x):
        place = where(reached.step, reached.t)
        raise ComponentError("sampler", f"made numbers that are not finite {place}")
    return reached


def fault_of(
    estimate: Estimate,
    inside: Iterable[Denoiser],
    x: Tensor,
    t: float | Tensor,
    cond: Condition | None,
) -> ComponentError | None:
    """Who broke a run, if an estimate is not finite; the caller adds where.

    A run is repeated to find that out: sound runs need not look at each estimate.

    Args:
        estimate: what was said of x at t under cond.
        inside: the models that guidance was around; none if there was no guidance.
        x: what was asked about.
        t: when.
        cond: what was told.
    """
    if not finite(x):
        return ComponentError("sampler", "made numbers that are not finite")
    if sane(estimate):
        return None
    said = [sane(model(x, t, cond)) for model in inside]
    if said and all(said):
        return ComponentError(
            "guidance",
            "made numbers that are not finite of a network's, which are; check its scale and all "
            "else that it was given",
        )
    return ComponentError("backbone", "returned numbers that are not finite")


def where(step: int, t: float) -> str:
    """A step, as messages have it."""
    return f"at step {step}, which leads to t = {t:g}"
