"""`diffx describe KIND NAME`: one component, with its options, as its class declares them."""

import inspect
import json
from typing import Any

from attrs import frozen

from diffx_cli.command import Command
from diffx_cli.console import say
from diffx_cli.help import option_lines
from diffx_cli.options import Shown
from diffx_cli.request import Request
from diffx_core.config import REQUIRED, Option, options_of, type_name
from diffx_core.config.run import plain
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered


@frozen(kw_only=True)
class DescribeOptions(Shown):
    """What is described.

    Args:
        kind: scheduler, backbone, sampler or dataset.
        name: the component, short or qualified.
    """

    kind: Kind
    name: str


def run(request: Request) -> None:
    """Print the description, or the same as JSON."""
    options: DescribeOptions = request.options
    registered = request.registry.find(options.kind, options.name)
    target = registered.load()
    if options.json:
        say(json.dumps(_as_json(registered, target), indent=2))
    else:
        say(_as_text(registered, target))


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
    summary="Show one component: its options, their types and defaults, and where it comes from.",
    options=DescribeOptions,
    run=run,
    words=("kind", "name"),
    examples=("diffx describe scheduler vesde", "diffx describe backbone dit --json"),
)
