"""Checks what was given against a schema, and finds every mistake.

A user who made three mistakes wants to hear of three.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from diffx_core.config.convert import Value, convert, type_name
from diffx_core.config.schema import REQUIRED, Option
from diffx_core.config.wording import flag, nearest, show


@frozen
class Given:
    """A value that somebody gave, and where.

    Args:
        value: text from a flag, or what a YAML file holds.
        source: how a message begins that is about it: ``--train.lr`` or ``run.yaml:12: train.lr``.
    """

    value: object
    source: str


def structure(
    options: Sequence[Option], given: Mapping[str, Given], *, owner: str, prefix: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Every option with its typed value, and one line for each thing that is wrong.

    Args:
        options: the schema.
        given: values by option name.
        owner: whose options they are, for messages: ``vesde (diffx-schedulers 0.1.0)``.
        prefix: what stands before an option's name in a flag: ``scheduler.``.
    """
    known = {option.name: option for option in options}
    problems = [
        unknown(known, name, one, owner) for name, one in given.items() if name not in known
    ]
    values: dict[str, Any] = {}
    for option in options:
        try:
            values[option.name] = _value(option, given.get(option.name))
        except ValueError as error:
            one = given.get(option.name)
            source = flag(prefix + option.name) if one is None else one.source
            problems.append(f"{source}: {error}")
    return values, problems


def unknown(names: Mapping[str, object], name: str, given: Given, owner: str) -> str:
    """The line about an option that does not exist."""
    listed = f"it has {', '.join(names)}" if names else "it has no options"
    return f"{given.source}: {owner} has no option {name}{nearest(name, names)} ({listed})"


def _value(option: Option, given: Given | None) -> Value:
    if given is None:
        if option.default is REQUIRED:
            raise ValueError(_required(option))
        return option.default
    value = convert(given.value, option.type)
    for check in option.checks:
        try:
            check(value)
        except ValueError as error:
            raise ValueError(f"{error}, got {_shown(value)}") from None
    return value


def _required(option: Option) -> str:
    """What to say of an option that nobody gave: what it is, and what can be chosen."""
    said = f"is required: {option.help}" if option.help else "is required"
    name = type_name(option.type)
    return f"{said.removesuffix('.')} ({name.replace('|', ', ')})" if "|" in name else said


def _shown(value: object) -> str:
    """A value as it is written in an option."""
    return ",".join(map(str, value)) or "''" if isinstance(value, tuple) else show(value)
