"""Checks of options that may be left out."""

import math
from collections.abc import Callable
from typing import Any

from attrs import Attribute
from attrs.validators import and_, optional


def finite(_: object, attribute: "Attribute[float]", value: float) -> None:
    """A validator: no number is NaN or infinite."""
    if not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be finite: {value}")


def given(*checks: Callable[[Any, Any, Any], Any]) -> Any:  # noqa: ANN401  # as attrs' own
    """The checks of an option that may be left out."""
    return optional(and_(*checks))
