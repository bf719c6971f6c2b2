"""python-fire, fenced in: it turns a clean command line into a frozen plan, and nothing else.

Fire runs a function before it notices a wrong flag, guesses types, strips "no" from flags, opens
pagers and walks into the attributes of results. Here it sees only ``--key=value``, keeps every
value as text, and its functions return a `Plan` whose work is done after Fire has returned.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

_Planner: TypeAlias = Callable[..., Any]


@frozen
class Plan:
    """What is to be done. It shows Fire no attribute to walk into.

    Args:
        command: the name of the command.
        options: text by key.
    """

    command: str
    options: Mapping[str, str] = field(factory=dict)

    def __dir__(self) -> list[str]:
        return []


def plan(commands: Iterable[str], command: str, options: Mapping[str, str]) -> Plan:
    """The plan for a clean command line, by way of Fire.

    Args:
        commands: every name that Fire shall know.
        command: the one that was typed.
        options: text by key.
    """
    import fire

    table = {name: _planner(name) for name in commands}
    line = [command, *(f"--{key}={value}" for key, value in options.items())]
    result = fire.Fire(table, command=line, name="diffx", serialize=_nothing)
    expected = Plan(command, dict(options))
    if result != expected:
        raise RuntimeError(f"python-fire read {line} as {result}")
    return expected


def _planner(name: str) -> _Planner:
    from fire.decorators import SetParseFn

    def planner(**options: str) -> Plan:
        return Plan(name, options)

    decorated: _Planner = SetParseFn(str)(planner)
    return decorated


def _nothing(_result: object) -> None:
    """What Fire prints of a result."""
