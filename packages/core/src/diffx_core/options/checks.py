"""Checks of options, which name the option and refuse with a `ConfigError`."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import Attribute
from attrs.validators import and_, optional

from diffx_core.errors import ConfigError

Validator = Callable[[Any, Any, Any], None]


def finite(_: object, attribute: "Attribute[float]", value: float) -> None:
    """A validator: no number is NaN or infinite."""
    if not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be finite: {value}")


def given(*checks: Callable[[Any, Any, Any], Any]) -> Any:  # noqa: ANN401  # as attrs' own
    """The checks of an option that may be left out."""
    return optional(and_(*checks))


def one_of(choices: Iterable[str]) -> Validator:
    """A validator: one of these words."""
    known = tuple(choices)

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if not isinstance(value, str) or value not in known:
            raise ConfigError(f"'{attribute.name}' must be one of {', '.join(known)}: {value}")

    return check


def is_number(value: object) -> bool:
    """Whether it is one; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(*checks: Callable[[Any, Any, Any], Any]) -> Validator:
    """A validator: a number that passes the checks."""

    def check(one: object, attribute: "Attribute[Any]", value: object) -> None:
        if not is_number(value):
            raise ConfigError(f"'{attribute.name}' must be a number: {value!r}")
        for each in checks:
            try:
                each(one, attribute, value)
            except ValueError as error:
                raise ConfigError(str(error)) from None

    return check


def pair(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """A validator: two numbers, or nothing."""
    ends = value if isinstance(value, list | tuple) else ()
    if value is not None and (len(ends) != 2 or not all(map(is_number, ends))):
        raise ConfigError(f"'{attribute.name}' must be two numbers: {value}")


def as_path(value: object) -> Path | None:
    """A path, if one is given."""
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ConfigError(f"'against' must be the path of a run or checkpoint: {value!r}")
    return Path(value)
