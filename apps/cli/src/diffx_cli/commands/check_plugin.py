"""`diffx check-plugin NAME`: does a component obey the laws of its kind?"""

import json

from attrs import frozen

from diffx_cli.command import Command
from diffx_cli.console import say
from diffx_cli.options import Shown
from diffx_cli.request import Request
from diffx_core.errors import ConfigError, DiffxError, PluginError
from diffx_core.plugins.component import Kind


@frozen(kw_only=True)
class CheckPluginOptions(Shown):
    """What is checked.

    Args:
        name: a component, short or qualified; or a distribution or its entry point, for all
            components that it offers.
        kind: only components of this kind.
    """

    name: str
    kind: Kind | None = None


def run(request: Request) -> None:
    """Measure every law and print what was found.

    Raises:
        DiffxError: a law does not hold.
        PluginError: a component cannot be loaded.
        ConfigError: a component cannot be built with its defaults.
    """
    options: CheckPluginOptions = request.options
    found = request.registry.search(options.name, options.kind)
    from diffx_cli.checking import Finding, check, failures, table

    findings: list[Finding] = []
    errors: list[DiffxError] = []
    for registered in found:
        try:
            findings += check(registered)
        except DiffxError as error:
            errors.append(error)
    if options.json:
        say(json.dumps([one.to_json() for one in findings], indent=2))
    elif findings:
        say(table(findings))
    lines = [line for error in errors for line in error.problems]
    failed = list(failures(findings))
    if any(isinstance(error, PluginError) for error in errors):
        raise PluginError(*lines, *failed)
    if failed:
        raise DiffxError(*failed, *lines)
    if lines:
        raise ConfigError(*lines)


COMMAND = Command(
    name="check-plugin",
    summary="Hold the components of a plugin to the laws of their kind, and show how they did.",
    options=CheckPluginOptions,
    run=run,
    words=("name",),
    examples=(
        "diffx check-plugin vpsde",
        "diffx check-plugin diffx-cosh",
        "diffx check-plugin diffx-samplers:ddim --json",
    ),
)
