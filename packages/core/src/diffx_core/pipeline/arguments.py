"""Arguments that are not what they must be, said by their names."""

import operator
from typing import Any, SupportsIndex

import torch

from diffx_core.errors import ConfigError


def whole(name: str, value: object, least: int | None = 1) -> int:
    """A whole number that an argument of a name must be, of at least so much if that is said.

    Raises:
        ConfigError: it is none.
    """
    found = index_of(value)
    if found is None:
        raise ConfigError(f"{name} must be a whole number, got {value!r}")
    if least is not None and found < least:
        raise ConfigError(f"{name} must be at least {least}, got {found}")
    return found


def instance(kind: type, name: str, value: object) -> Any:  # noqa: ANN401  # of that kind
    """What an argument of a name must be: an object of a kind.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, type) and issubclass(value, kind):
        raise ConfigError(f"{name} must be an object, not a class: {value.__name__}()")
    raise ConfigError(f"{name} must be a {kind.__name__}, got {value!r}")


def index_of(value: object) -> int | None:
    """A whole number as Python's own, also that of another library; a truth value is none."""
    if not isinstance(value, SupportsIndex) or isinstance(value, bool | torch.Tensor):
        return None
    try:
        return operator.index(value)
    except TypeError:  # an array, which may be of one number
        return None
