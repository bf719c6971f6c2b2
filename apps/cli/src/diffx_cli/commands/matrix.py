"""`diffx matrix`: which sampler works with which process and prediction, measured."""

import json
from collections.abc import Sequence
from typing import Literal, get_args

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import counted, note, say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_core.errors import ConfigError, DiffxError, PluginError
from diffx_core.options import PredictionName
from diffx_core.plugins import Kind, Registered, Registry

Format = Literal["table", "json", "markdown"]


@frozen(kw_only=True)
class MatrixOptions(Shown):
    """What is crossed, and how it is shown.

    Args:
        schedulers: only these processes.
        samplers: only these methods.
        predictions: only these meanings of the network's output.
        format: a table for people, json for programs, markdown for a page.
    """

    schedulers: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    predictions: tuple[PredictionName, ...] = ()
    format: Format = "table"


def run(request: Request) -> None:
    """Measure every pair and print what was found."""
    options: MatrixOptions = request.options
    registry = request.registry
    schedulers, wrong = _named(registry, "scheduler", options.schedulers)
    samplers, also = _named(registry, "sampler", options.samplers)
    _refuse([*wrong, *also])
    predictions = tuple(dict.fromkeys(options.predictions)) or get_args(PredictionName)

    from diffx_cli.components.crossing import crossings
    from diffx_cli.components.crossing_text import markdown, table

    processes, ways = counted(len(schedulers), "scheduler"), counted(len(samplers), "sampler")
    note(f"{processes} with {ways}, about .3 seconds a pair")
    found = list(crossings(schedulers, samplers, predictions, registry.failures))

    def name(one: Registered) -> str:
        return one.qualified if registry.is_ambiguous(one) else one.name

    if options.json or options.format == "json":
        say(json.dumps([one.to_json() for one in found], indent=2))
    else:
        say((markdown if options.format == "markdown" else table)(found, name))


def _named(
    registry: Registry, kind: Kind, names: Sequence[str]
) -> tuple[tuple[Registered, ...], list[DiffxError]]:
    """The components that are asked for, all of them if none is named, and what is wrong."""
    if not names:
        return registry.all(kind), []
    found, errors = list[Registered](), list[DiffxError]()
    for name in dict.fromkeys(names):
        try:
            found.append(registry.find(kind, name))
        except DiffxError as error:
            errors.append(type(error)(*(f"--{kind}s: {line}" for line in error.problems)))
    return tuple(found), errors


def _refuse(errors: Sequence[DiffxError]) -> None:
    lines = dict.fromkeys(line for error in errors for line in error.problems)
    if any(isinstance(error, ConfigError) for error in errors):
        raise ConfigError(*lines)
    if lines:
        raise PluginError(*lines)


COMMAND = Command(
    name="matrix",
    summary="Cross schedulers, samplers and predictions, and measure the order of each pair.",
    options=MatrixOptions,
    run=run,
    exclusive=(("json", "format"),),
    examples=(
        "diffx matrix",
        "diffx matrix --schedulers vpsde,rectified_flow --samplers ddim,unipc --predictions v",
        "diffx matrix --format markdown > matrix.md",
    ),
)
