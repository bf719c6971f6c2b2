"""What is installed and loadable: every component, found by the name that a user typed.

A name is short, ``vesde``, or qualified by its distribution, ``diffx-schedulers:vesde``. A short
name that two distributions offer is an error when it is resolved, so installing a package never
changes what a command means.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Final, Self

from diffx_core.errors import ConfigError, PluginError
from diffx_core.plugins.component import KINDS, Kind
from diffx_core.plugins.discovery import discover, select
from diffx_core.plugins.loading import Plugin, load_plugins
from diffx_core.plugins.refusal import ambiguous, no_match, unknown
from diffx_core.plugins.registered import Registered

STRICT: Final = "DIFFX_STRICT_PLUGINS"


class Registry:
    """Every component of the plugins that loaded, and what became of those that did not.

    Args:
        plugins: what came of loading each plugin.
        left_out: the distributions of plugins that the environment switched off, for messages.
    """

    def __init__(self, plugins: Sequence[Plugin], *, left_out: Sequence[str] = ()) -> None:
        self._plugins = tuple(plugins)
        self._left_out = tuple(sorted(set(left_out)))
        registered = [
            Registered(kind, c.name, plugin.distribution, plugin.version, c.summary, c.target)
            for plugin in plugins
            for kind, c in plugin.components
        ]
        self._all = tuple(
            sorted(registered, key=lambda r: (KINDS.index(r.kind), r.name, r.distribution))
        )

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Load what is installed.

        Args:
            environ: where DIFFX_PLUGINS and the other two variables are looked up.

        Raises:
            ConfigError: a variable has a value that means nothing.
            PluginError: a plugin failed, and DIFFX_STRICT_PLUGINS is 1.
        """
        strict = environ.get(STRICT, "")
        if strict not in {"", "0", "1"}:
            raise ConfigError(f"{STRICT} must be 0 or 1, got {strict!r}")
        chosen, left_out = select(discover(), environ)
        plugins = load_plugins(chosen, strict=strict == "1")
        return cls(plugins, left_out=[source.distribution for source in left_out])

    @property
    def failures(self) -> tuple[Plugin, ...]:
        """The plugins that are disabled because they failed."""
        return tuple(plugin for plugin in self._plugins if plugin.error is not None)

    def all(self, kind: Kind | None = None) -> tuple[Registered, ...]:
        """The components of one kind, or of every kind, in the order of a listing."""
        return tuple(r for r in self._all if kind is None or r.kind == kind)

    def is_ambiguous(self, registered: Registered) -> bool:
        """Whether another distribution offers a component of the same kind and short name."""
        return len(self._matches(registered.kind, registered.name)) > 1

    def find(self, kind: Kind, name: str) -> Registered:
        """The component that a name means.

        Args:
            kind: what it has to be.
            name: short, or qualified as ``distribution:name``.

        Raises:
            ConfigError: no component has the name, or several have it.
            PluginError: a plugin that failed, or that is not installed, is the likely reason.
        """
        matches = self._matches(kind, name)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise ambiguous(kind, name, matches)
        raise unknown(kind, name, offered=self._all, plugins=self._plugins, left_out=self._left_out)

    def search(self, name: str, kind: Kind | None = None) -> tuple[Registered, ...]:
        """All components that a name may stand for.

        A component's own name comes first, of every kind; otherwise it is that of a distribution or
        of an entry point, and stands for everything that is offered there.

        Args:
            name: short, or qualified as ``distribution:name``, or of a distribution or plugin.
            kind: only components of this kind.

        Raises:
            ConfigError: nothing has the name, or several distributions offer it.
            PluginError: a plugin of that name failed.
        """
        found = tuple(r for r in self.all(kind) if r.answers_to(name))
        for one in found:
            if len(matches := self._matches(one.kind, name)) > 1:
                raise ambiguous(one.kind, name, matches)
        plugins = [p for p in self._plugins if p.goes_by(name)]
        if not found and (broken := [p.diagnosis for p in plugins if p.error is not None]):
            raise PluginError(*broken)
        offers = {(p.distribution, of, one.name) for p in plugins for of, one in p.components}
        found = found or tuple(
            r for r in self.all(kind) if (r.distribution, r.kind, r.name) in offers
        )
        if not found:
            raise no_match(
                name, kind, offered=self._all, plugins=self._plugins, left_out=self._left_out
            )
        return found

    def _matches(self, kind: Kind, name: str) -> tuple[Registered, ...]:
        return tuple(r for r in self.all(kind) if r.answers_to(name))
