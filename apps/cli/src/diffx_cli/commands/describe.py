"""`diffx describe KIND [NAME]`: a component with its options, or what an objective means."""

import inspect
import json
from typing import Any, Literal

from attrs import frozen

from diffx_cli.command import Command
from diffx_cli.console import say
from diffx_cli.help import option_lines
from diffx_cli.objectives import objective_text, objectives_json, objectives_text
from diffx_cli.options import Shown
from diffx_cli.request import Request
from diffx_core.config import REQUIRED, Option, options_of, type_name
from diffx_core.config.run import plain
from diffx_core.errors import ConfigError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered


@frozen(kw_only=True)
class DescribeOptions(Shown):
    """What is described.

    Args:
        kind: of a component, or objective.
        name: the component, short or qualified; or the objective's prediction, by default all.
    """

    kind: Literal[Kind, "objective"]
    name: str | None = None


def run(request: Request) -> None:
    """Print the description, or the same as JSON."""
    options: DescribeOptions = request.options
    if options.kind == "objective":
        _objective(options)
        return
    if options.name is None:
        known = ", ".join(one.name for one in request.registry.all(options.kind))
        raise ConfigError(f"--name: is required: which {options.kind} ({known or 'none'})")
    registered = request.registry.find(options.kind, options.name)
    target = registered.load()
    if options.json:
        say(json.dumps(_as_json(registered, target), indent=2))
    else:
        say(_as_text(registered, target))


def _objective(options: DescribeOptions) -> None:
    if options.json:
        say(json.dumps(objectives_json(options.name), indent=2))
    else:
        say(objectives_text() if options.name is None else objective_text(options.name))


def _as_text(registered: Registered, target: type) -> str:
    lines = [
        f"{registered.kind} {registered.label}: {registered.summary}",
        f"full name: {registered.qualified}",
        "",
        inspect.cleandoc(target.__doc__ or "").partition("\nArgs:")[0].strip(),
        "",
        "options:",
        *option_lines(options_of(target), f"{registered.kind}."),
    ]
    return "\n".join(lines)


def _as_json(registered: Registered, target: type) -> dict[str, Any]:
    return {
        "kind": registered.kind,
        "name": registered.name,
        "qualified": registered.qualified,
        "distribution": registered.distribution,
        "version": registered.version,
        "summary": registered.summary,
        "options": [_option(one) for one in options_of(target)],
    }


def _option(option: Option) -> dict[str, Any]:
    required = option.default is REQUIRED
    return {
        "name": option.name,
        "type": type_name(option.type),
        "required": required,
        "default": None if required else plain(option.default),
        "help": option.help,
    }


COMMAND = Command(
    name="describe",
    summary="Show one component with its options, or the objective that a prediction is given.",
    options=DescribeOptions,
    run=run,
    words=("kind", "name"),
    examples=(
        "diffx describe scheduler vesde",
        "diffx describe backbone dit --json",
        "diffx describe objective",
        "diffx describe objective edm",
    ),
)
