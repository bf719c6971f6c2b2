"""What each sample is told: labels, checked against what the model knows; and other arguments."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex, TypeAlias

import torch

from diffx_core.dataset import NO_LABEL, Condition, DataSpec
from diffx_core.errors import ConfigError

Labels: TypeAlias = int | Sequence[int] | torch.Tensor
"""The class of all samples, or of each of them."""


def told(spec: DataSpec, n: int, labels: Labels | None = None) -> Condition:
    """The condition of n samples.

    Args:
        spec: the facts about the data.
        n: how many samples.
        labels: their classes.

    Raises:
        ConfigError: the model knows no such labels.
    """
    whole("n", n)
    wanted = None if labels is None else _listed(labels, n)
    classes = spec.num_classes
    if classes is None:
        if wanted is not None:
            raise ConfigError("the model was trained without labels: it takes none")
        return Condition()
    if wanted is None:
        return Condition(torch.full((n,), NO_LABEL))
    if len(wanted) != n:
        raise ConfigError(f"{len(wanted)} labels for {n} samples")
    outside = sorted({one for one in wanted if not 0 <= one < classes})
    if outside:
        raise ConfigError(f"no such label: {outside}; the model knows 0 to {classes - 1}")
    return Condition(torch.tensor(wanted))


def whole(name: str, value: object, least: int | None = 1) -> int:
    """A whole number that an argument of a name must be, of at least so much if that is said.

    Raises:
        ConfigError: it is none.
    """
    found = _index(value)
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


def _index(value: object) -> int | None:
    """A whole number as Python's own, also that of another library; a truth value is none."""
    if not isinstance(value, SupportsIndex) or isinstance(value, bool | torch.Tensor):
        return None
    try:
        return operator.index(value)
    except TypeError:  # an array, which may be of one number
        return None


def _listed(labels: Labels, n: int) -> list[int]:
    """The labels of n samples, if they are whole numbers."""
    given: object = labels.tolist() if isinstance(labels, torch.Tensor) else labels
    one = _index(given)
    if one is not None:
        return [one] * n
    each = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else None
    found = [] if each is None else [_index(label) for label in each]
    if each is None or None in found:
        raise ConfigError(
            f"label must be a whole number, or one for each of {n} samples, got {labels!r}"
        )
    return [label for label in found if label is not None]
