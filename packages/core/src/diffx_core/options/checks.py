"""Checks of options, which name the option and refuse with a `ConfigError`."""

import math
import operator
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path
from typing import Any, SupportsIndex

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
    return isinstance(value, Real) and not isinstance(value, bool)


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
    if value is not None:
        two_numbers(f"'{attribute.name}'", value)


def two_numbers(name: str, value: object) -> tuple[float, float]:
    """Two numbers, under the name that messages have for them."""
    ends = value if isinstance(value, list | tuple) else ()
    if len(ends) != 2 or not all(map(is_number, ends)):
        raise ConfigError(f"{name} must be two numbers: {value}")
    return ends[0], ends[1]


def index(value: object) -> int | None:
    """A whole number as Python's own, also that of another library; a truth value is none."""
    if not isinstance(value, SupportsIndex) or isinstance(value, bool):
        return None
    if getattr(value, "ndim", 0):  # an array, which may be of one number
        return None
    try:
        return operator.index(value)
    except TypeError:  # one of a number that is not whole
        return None


def whole(name: str, value: object, least: int | None = 1, below: int | None = None) -> int:
    """A whole number that an argument of a name must be, within bounds if they are given.

    Raises:
        ConfigError: it is none, or not within them.
    """
    found = index(value)
    if found is None:
        raise ConfigError(f"{name} must be a whole number, got {value!r}")
    if least is not None and found < least:
        raise ConfigError(f"{name} must be at least {least}, got {found}")
    if below is not None and found >= below:
        raise ConfigError(f"{name} must be less than {below}, got {found}")
    return found


def seed_of(value: object) -> int:
    """A seed, of which no two that differ make the same noise: it has 64 bits."""
    return whole("seed", value, least=0, below=2**64)


def instance(kind: type, name: str, value: object) -> Any:  # noqa: ANN401  # of that kind
    """What an argument of a name must be: an object of a kind.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(value, type):
        raise ConfigError(f"{name} must be an object, not a class: {value.__name__}()")
    if isinstance(value, kind):
        return value
    raise ConfigError(f"{name} must be a {kind.__name__}, got {value!r}")


def of_kind(kind: type) -> Validator:
    """A validator: an object of a kind."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        instance(kind, attribute.name, value)

    return check


def as_path(value: object) -> Path | None:
    """A path, if one is given."""
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ConfigError(f"'against' must be the path of a run or checkpoint: {value!r}")
    return Path(value)
