"""`diffx list-plugins`: what is installed and what is broken. Imports no component."""

import json

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_core.plugins.component import Kind
from diffx_core.plugins.report import rows, table


@frozen(kw_only=True)
class ListPluginsOptions(Shown):
    """What is listed.

    Args:
        kind: only components of this kind.
    """

    kind: Kind | None = None


def run(request: Request) -> None:
    """Print the table, or the rows as JSON."""
    options: ListPluginsOptions = request.options
    listed = rows(request.registry, options.kind)
    say(json.dumps(listed, indent=2) if options.json else table(listed))


COMMAND = Command(
    name="list-plugins",
    summary="List every component that is installed, and every plugin that failed to load.",
    options=ListPluginsOptions,
    run=run,
    examples=("diffx list-plugins --kind scheduler", "diffx list-plugins --json"),
)
