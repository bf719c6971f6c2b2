"""What a command is, declared once: help, the grammar and validation all read this."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from diffx_core.config import Option, options_of
from diffx_core.plugins.component import Kind

Run: TypeAlias = Callable[[Any], None]
"""Takes the `diffx_cli.line.request.Request` and does the work."""


@frozen(kw_only=True)
class Command:
    """One command.

    Args:
        name: as it is typed.
        summary: one line for the list of commands.
        options: attrs class of the command's own options.
        run: does it, once everything has been checked.
        words: options that may be given as bare words, in order.
        names_one: whether the options `kind` and `name` name a component, whose own options may be
            given besides.
        components: kinds that the command takes, each with its component by default; None if the
            command can do without.
        lists: own options that name any number of components, each with their kind; options of
            that kind go to each of them that has it.
        sections: attrs class of each section of dotted options.
        aliases: own options that are another spelling of a dotted one.
        exclusive: keys of which at most one may be given; options of a component or a section
            count as its own key.
        examples: command lines worth showing.
    """

    name: str
    summary: str
    options: type
    run: Run
    words: tuple[str, ...] = ()
    names_one: bool = False
    components: Mapping[Kind, str | None] = field(factory=dict)
    lists: Mapping[str, Kind] = field(factory=dict)
    sections: Mapping[str, type] = field(factory=dict)
    aliases: Mapping[str, str] = field(factory=dict)
    exclusive: tuple[tuple[str, ...], ...] = ()
    examples: tuple[str, ...] = ()

    def declared(self) -> dict[str, Option]:
        """Every option that is known without importing a component, by the key of its flag."""
        own = {option.name: option for option in options_of(self.options)}
        kinds: dict[str, Option] = {
            kind: Option(name=kind, type=str, default=default, help=f"which {kind}.")
            for kind, default in self.components.items()
        }
        dotted = {
            f"{section}.{option.name}": option
            for section, target in self.sections.items()
            for option in options_of(target)
        }
        return {**kinds, **own, **dotted}
