"""Grids by name, with a parameter where they have one: `karras`, `karras:5`, `ays:sdxl`."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, Literal, Protocol, get_args

from attrs import Attribute
from torch import Tensor

from diffx_core.grids.spacing import flow, karras, logsnr, quadratic, time_shift, uniform
from diffx_core.grids.tables import AYS, ays, ratios
from diffx_core.scheduler import Scheduler

GridName = Literal["uniform", "quadratic", "logsnr", "karras", "flow", "time_shift", "ays"]


class Grid(Protocol):
    """Where a sampler stops: a function of ours with its options, or one of a caller's own."""

    def __call__(self, scheduler: Scheduler, steps: int, t_max: float, /) -> Tensor:
        """Steps + 1 falling times in float64, from t_max to the end of the process."""
        ...


GRIDS: dict[GridName, Grid] = {
    "uniform": uniform,
    "quadratic": quadratic,
    "logsnr": logsnr,
    "karras": karras,
    "flow": flow,
    "time_shift": time_shift,
    "ays": ays,
}


def positive(text: str) -> float:
    """A finite number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError("needs a number > 0 after the colon")
    return number


def table(text: str) -> str:
    """The name of one of the tables of `ays`."""
    if text not in AYS:
        raise ValueError(f"needs one of {', '.join(AYS)} after the colon")
    return text


def falling(text: str) -> tuple[float, ...]:
    """Two or more falling values of sigma / alpha."""
    wanted = "needs two or more falling numbers > 0 after the colon, as in ratios:20,5,1,0.1"
    try:
        values = tuple(positive(one) for one in text.split(","))
    except ValueError:
        raise ValueError(wanted) from None
    if len(values) < 2 or any(a <= b for a, b in pairwise(values)):
        raise ValueError(wanted)
    return values


PARAMETERS: dict[str, tuple[Callable[..., Tensor], str, Callable[[str], Any]]] = {
    "karras": (karras, "rho", positive),
    "time_shift": (time_shift, "shift", positive),
    "ays": (ays, "table", table),
    "ratios": (ratios, "values", falling),
}
"""The function, the name of its parameter, and how that is read, for all that have one."""


def grid_named(text: str) -> Grid:
    """The grid with a name, and with a parameter after a colon if there is one.

    Raises:
        ValueError: there is none; in words that follow the name of an option.

    Examples:
        >>> import torch
        >>> from diffx_core.testing import REFERENCE_PROCESSES
        >>> times = grid_named("karras:5")(REFERENCE_PROCESSES[0], 4, 1.0)
        >>> times.shape, bool((times.diff() < 0).all())
        (torch.Size([5]), True)
    """
    name, colon, parameter = text.partition(":")
    if colon and name in PARAMETERS:
        function, argument, read = PARAMETERS[name]
        return partial(function, **{argument: read(parameter)})
    if colon and name in GRIDS:
        raise ValueError(f"takes no parameter with {name}, only with {', '.join(PARAMETERS)}")
    for known, grid in GRIDS.items():
        if text == known:
            return grid
    choices = ", ".join(get_args(GridName))
    raise ValueError(f"needs one of {choices}, or ratios: and falling values of sigma / alpha")


def is_grid(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """A validator: the name of a grid, or a grid."""
    if isinstance(value, str):
        try:
            grid_named(value)
        except ValueError as error:
            raise ValueError(f"'{attribute.name}' {error}: {value}") from None
    elif not callable(value):
        raise TypeError(f"'{attribute.name}' needs the name of a grid or a function, not {value!r}")
