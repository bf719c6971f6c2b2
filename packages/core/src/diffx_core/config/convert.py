"""Strict text to typed values: what the annotation asks for, exactly, or an error.

Nothing is guessed: "false" is False, "20.7" is no whole number, "None" is None only where None is
allowed. Values that a file has typed already are taken when they are exact: 5 is a float, 5.0 is no
int, and 1.10 is no string.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

from diffx_core.config.wording import show

Value: TypeAlias = Any
"""A value whose type another value states."""

_INT = re.compile(r"[+-]?[0-9]{1,400}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_BOOLS = {"true": True, "false": False}
_NONES = ("none", "null")


def convert(value: object, annotation: object) -> Value:
    """The value as the annotation wants it.

    Args:
        value: text, or what a YAML file holds.
        annotation: bool, int, float, str, Path, a Literal, ``X | None``, or a tuple or list of
            such.

    Raises:
        ValueError: the value is not one, in words that follow the name of an option.
    """
    if annotation in _SCALARS:
        return _SCALARS[annotation](value)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _choice(value, arguments)
    if origin in (Union, UnionType):
        return _first_that_fits(value, arguments)
    if origin is tuple:
        return _tuple(value, arguments)
    if origin is list:
        return [convert(item, arguments[0]) for item in _items(value)]
    raise ValueError(f"has a type that diffx cannot read: {type_name(annotation)}")


def is_convertible(annotation: object) -> bool:
    """Whether `convert` knows what to do with an annotation."""
    if annotation in _SCALARS or annotation is Ellipsis or get_origin(annotation) is Literal:
        return True
    arguments = get_args(annotation)
    known = get_origin(annotation) in (Union, UnionType, tuple, list)
    return known and bool(arguments) and all(map(is_convertible, arguments))


def type_name(annotation: object) -> str:
    """An annotation as help writes it: ``int``, ``eps|x0``, ``float or none``, ``int,...``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(map(type_name, arguments))
    if origin is list:
        return f"{type_name(arguments[0])},..."
    if origin is tuple:
        return ",".join("..." if one is Ellipsis else type_name(one) for one in arguments)
    if annotation is NoneType:
        return "none"
    return str(getattr(annotation, "__name__", annotation)).lower()


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLS:
        return _BOOLS[value.lower()]
    raise ValueError(f"needs true or false, not {show(value)}")


def _int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INT.fullmatch(value):
        return int(value)
    raise ValueError(f"needs a whole number, not {show(value)}")


def _float(value: object) -> float:
    if isinstance(value, str) and (_FLOAT.fullmatch(value) or _NOT_FINITE.fullmatch(value)):
        number = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e308 else math.inf
    else:
        raise ValueError(f"needs a number, not {show(value)}")
    if not math.isfinite(number):
        raise ValueError(f"needs a finite number, not {show(value)}")
    return number


def _str(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"needs text, not {show(value)}; put it in quotes")


def _path(value: object) -> Path:
    text = _str(value)
    if not text or "\0" in text:
        raise ValueError(f"needs a path, not {show(text)}")
    return Path(text)


def _none(value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.lower() in _NONES):
        raise ValueError(f"needs none, not {show(value)}")


def _choice(value: object, choices: tuple[object, ...]) -> Value:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
        if isinstance(value, str) and value == str(choice):
            return choice
    raise ValueError(f"needs one of {', '.join(map(str, choices))}, not {show(value)}")


def _first_that_fits(value: object, annotations: tuple[object, ...]) -> Value:
    # Text last, because every value is also some text; none first, for it is one too.
    order = sorted(annotations, key=lambda one: (one is str) - (one is NoneType))
    reasons = []
    for annotation in order:
        try:
            return convert(value, annotation)
        except ValueError as error:
            reasons.append(str(error))
    wanted = [reason for reason, one in zip(reasons, order, strict=True) if one is not NoneType]
    if len(wanted) == 1:
        raise ValueError(wanted[0])
    raise ValueError(f"needs {' or '.join(map(type_name, annotations))}, not {show(value)}")


def _tuple(value: object, arguments: tuple[object, ...]) -> tuple[Value, ...]:
    items = _items(value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(convert(item, arguments[0]) for item in items)
    if len(items) != len(arguments):
        raise ValueError(f"needs {len(arguments)} values, not {len(items)}: {show(value)}")
    return tuple(convert(item, one) for item, one in zip(items, arguments, strict=True))


def _items(value: object) -> list[object]:
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        raise ValueError(f"needs a list such as 1,2,3, not {show(value)}")  # noqa: TRY004 - a message, as all others
    text = value.strip()
    if text[:1] + text[-1:] in ("[]", "()"):
        text = text[1:-1].strip()
    return [item.strip() for item in text.split(",")] if text else []


_SCALARS: dict[object, Callable[[object], Value]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    Path: _path,
    NoneType: _none,
}
