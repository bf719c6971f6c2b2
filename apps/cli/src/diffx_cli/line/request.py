"""A command line that has been checked: what a command works with, or is built from."""

from collections.abc import Collection, Mapping
from typing import Any, Self, TypeAlias

from attrs import field, frozen

from diffx_cli.line.blame import told
from diffx_cli.line.command import Command
from diffx_core.config import options_of, structure
from diffx_core.errors import ComponentError, ConfigError, DiffxError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered
from diffx_core.plugins.registry import Registry

Built: TypeAlias = Any
"""A component of a kind that the caller knows."""


@frozen(kw_only=True)
class Chosen:
    """A component, its class, and all of its options.

    Args:
        registered: who it is.
        target: its class.
        options: typed, with every default filled in.
        told: names of those that somebody has said.
        built: the component, if it has been built already; nothing else is made of it.
    """

    registered: Registered
    target: type
    options: Mapping[str, Any]
    told: Collection[str] = ()
    built: Built | None = field(default=None, eq=False, repr=False)

    @classmethod
    def by_default(cls, registered: Registered) -> Self:
        """A component with the options that it has if nobody says any.

        Raises:
            ConfigError: some have to be said.
        """
        target = registered.load()
        prefix = f"{registered.kind}."
        options = options_of(target)
        values, problems = structure(options, {}, owner=registered.label, prefix=prefix)
        if problems:
            raise ConfigError(*problems)
        return cls(registered=registered, target=target, options=values)

    @property
    def label(self) -> str:
        """The component for messages, with its kind and who is to blame."""
        return f"{self.registered.kind} {self.registered.label}"

    def build(self, *facts: object) -> Built:
        """The component.

        Args:
            facts: what the class takes before its options.

        Raises:
            ConfigError: it refuses what it was given.
            ComponentError: it fails in any other way.
        """
        if self.built is not None and not facts:
            return self.built
        try:
            return self.target(*facts, **self.options)
        except ConfigError as error:
            raise ConfigError(*(f"{self.label}: {one}" for one in error.problems)) from error
        except DiffxError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.label}: {error}") from error
        except Exception as error:
            reason = f"{self.label} cannot be built: {told(error)}"
            raise ComponentError(self.registered.kind, reason) from error


@frozen(kw_only=True)
class Request:
    """Everything a command needs.

    Args:
        command: which.
        options: the command's own options, an instance of its class of options.
        components: by kind.
        sections: instances of the sections' classes, by section.
        listed: by kind, components of which there may be any number.
        registry: what is installed.
        told: keys of the options that flags or the configuration file give.
        by_recipe: keys of the options that the recipe gives, whether or not they count.
    """

    command: Command
    options: Any
    components: Mapping[Kind, Chosen] = field(factory=dict)
    sections: Mapping[str, Any] = field(factory=dict)
    listed: Mapping[Kind, tuple[Chosen, ...]] = field(factory=dict)
    registry: Registry
    told: frozenset[str] = frozenset()
    by_recipe: frozenset[str] = frozenset()

    def labels(self) -> dict[str, str]:
        """Who is to blame for each component, by kind."""
        return {kind: one.registered.label for kind, one in self.components.items()}
