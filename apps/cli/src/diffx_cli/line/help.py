"""Help: from declarations and the records of plugins, so without importing a component.

Only a component that is named beside ``--help`` is imported, to show its options.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import version as version_of

from diffx_cli.line.command import Command
from diffx_cli.line.layout import columns
from diffx_core.config import REQUIRED, Option, flag, options_of, type_name, written
from diffx_core.plugins.component import KINDS, Kind
from diffx_core.plugins.registry import Registry

TAGLINE = "diffx: any noise process, any network, any sampler, any data, from plugins"

LONGEST_METAVAR = 32
"""Characters of a list of choices beside a flag; a longer one would squeeze the text beside it."""


def version() -> str:
    """One line: the program and its version."""
    return f"diffx {version_of('diffx-cli')}"


def general_help(commands: Mapping[str, Command], registry: Registry) -> str:
    """The page of ``diffx --help``."""
    lines = [
        f"{TAGLINE} ({version()})",
        "",
        "usage: diffx COMMAND [--option value ...]",
        "",
        "commands:",
        *columns((command.name, command.summary) for command in commands.values()),
        "",
        "components that are installed:",
        *columns((kind, _names(registry, kind)) for kind in KINDS),
        *_failures(registry),
        "",
        "diffx COMMAND --help shows the options of a command.",
    ]
    return "\n".join(lines)


def command_help(command: Command, given: Mapping[str, str], registry: Registry) -> str:
    """The page of ``diffx COMMAND --help``.

    Args:
        command: which.
        given: what else is on the command line; components that are named there are shown too.
        registry: what is installed.
    """
    lines = [f"usage: {usage(command)}", "", command.summary]
    if command.components or command.lists:
        lines += ["", "components (--help beside one of them shows its options):"]
        lines += columns(_component_rows(command, registry))
    lines += ["", "options:", *option_lines(options_of(command.options), "")]
    for name, target in command.sections.items():
        lines += ["", f"{name}:", *option_lines(options_of(target), f"{name}.")]
    for kind, name in _shown(command, given):
        registered = registry.find(kind, name)
        lines += ["", f"{kind} {registered.label}: {registered.summary}"]
        lines += option_lines(options_of(registered.load()), f"{kind}.")
    if command.examples:
        lines += ["", "examples:", *(f"  {example}" for example in command.examples)]
    return "\n".join([*lines, *_failures(registry)])


def usage(command: Command) -> str:
    """How the command is written; words that may be left out are in brackets."""
    required = {one.name for one in options_of(command.options) if one.default is REQUIRED}
    words = (word.upper() if word in required else f"[{word.upper()}]" for word in command.words)
    return " ".join(("diffx", command.name, *words, "[--option value ...]"))


def option_lines(options: Iterable[Option], prefix: str) -> list[str]:
    """One entry for each option: flag, type, help and default."""
    lines = columns(
        (
            f"{flag(prefix + one.name)} {_metavar(one)}".rstrip(),
            f"{one.help.replace('``', '`')} {_choices(one)}{_default(one)}",
        )
        for one in options
    )
    return lines or ["  (no options)"]


def _component_rows(command: Command, registry: Registry) -> Iterable[tuple[str, str]]:
    for kind, default in command.components.items():
        yield f"--{kind} NAME", f"{_names(registry, kind)} [default: {default or 'none'}]"
    for name, kind in command.lists.items():
        yield f"--{name} NAME,...", _names(registry, kind)


def _shown(command: Command, given: Mapping[str, str]) -> Iterable[tuple[Kind, str]]:
    """The components whose options are shown: those that are named."""
    for kind in command.components:
        if kind in given:
            yield kind, given[kind]
    for key, kind in command.lists.items():
        for name in filter(None, given.get(key, "").split(",")):
            yield kind, name.strip()


def _names(registry: Registry, kind: Kind) -> str:
    names = (
        one.qualified if registry.is_ambiguous(one) else one.name for one in registry.all(kind)
    )
    return ", ".join(names) or "none"


def _failures(registry: Registry) -> list[str]:
    failed = ", ".join(plugin.entry for plugin in registry.failures)
    return ["", f"plugins that failed to load: {failed} (diffx list-plugins)"] if failed else []


def _metavar(option: Option) -> str:
    if option.type is bool:
        return "true|false" if option.default is True else ""
    name = _type_name(option)
    if len(name) > LONGEST_METAVAR:
        return "NAME"
    return name if "|" in name else name.upper()


def _choices(option: Option) -> str:
    """The choices, where there are too many to stand beside the flag."""
    names = _type_name(option).split("|")
    return f"[{', '.join(names)}] " if len("|".join(names)) > LONGEST_METAVAR else ""


def _type_name(option: Option) -> str:
    return type_name(option.type).removesuffix(" or none")


def _default(option: Option) -> str:
    if option.default is REQUIRED:
        return "[required]"
    if option.default is None or option.default is False or option.default == ():
        return ""
    return f"[default: {written(option.default)}]"
