"""`diffx check-plugin NAME|--all`: do components obey the laws of their kind?"""

import json
import sys
from collections.abc import Sequence

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_core.errors import ConfigError, DiffxError, PluginError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered
from diffx_core.plugins.registry import Registry


@frozen(kw_only=True)
class CheckPluginOptions(Shown):
    """What is checked.

    Args:
        name: a component, short or qualified; or a distribution or its entry point, for all
            components that it offers.
        all: every component that is installed; a plugin that failed to load counts as a failure.
        kind: only components of this kind.
    """

    name: str | None = None
    all: bool = False
    kind: Kind | None = None


def run(request: Request) -> None:
    """Measure every law and print what was found.

    Raises:
        DiffxError: a law does not hold.
        PluginError: a plugin or a component cannot be loaded.
        ConfigError: nothing is named, or a component cannot be built with its defaults.
    """
    options: CheckPluginOptions = request.options
    found, errors = _chosen(request.registry, options)
    from tqdm import tqdm

    from diffx_cli.components.checking import Finding, check, failures, table

    findings: list[Finding] = []
    quiet = len(found) == 1 or not sys.stderr.isatty()
    for registered in tqdm(found, unit="component", leave=False, disable=quiet):
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


def _chosen(
    registry: Registry, options: CheckPluginOptions
) -> tuple[Sequence[Registered], list[DiffxError]]:
    """What is checked, and what is wrong before anything has been."""
    if options.name is not None:
        return registry.search(options.name, options.kind), []
    if not options.all:
        raise ConfigError("name a component or a plugin, or check --all that is installed")
    broken = [PluginError(plugin.diagnosis) for plugin in registry.failures]
    return registry.all(options.kind), [*broken]


COMMAND = Command(
    name="check-plugin",
    summary="Hold the components of a plugin to the laws of their kind, and show how they did.",
    options=CheckPluginOptions,
    run=run,
    words=("name",),
    exclusive=(("name", "all"),),
    examples=(
        "diffx check-plugin vpsde",
        "diffx check-plugin diffx-cosh",
        "diffx check-plugin diffx-samplers:ddim --json",
        "diffx check-plugin --all --kind sampler",
    ),
)
