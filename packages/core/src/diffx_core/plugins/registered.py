"""A component that can be chosen: the plugin's record, and the distribution that offers it."""

from importlib import import_module

from attrs import frozen

from diffx_core.errors import PluginError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.discovery import canonical
from diffx_core.plugins.isolation import IsolatedError, isolated
from diffx_core.plugins.shape import misshapen
from diffx_core.plugins.suggestion import remedy


@frozen
class Registered:
    """A component, and the distribution that offers it.

    Args:
        kind: what it is.
        name: its short name.
        distribution: who offers it.
        version: of that distribution.
        summary: one line about it.
        target: where its class is, as ``package.module:Class``.
    """

    kind: Kind
    name: str
    distribution: str
    version: str
    summary: str
    target: str

    @property
    def qualified(self) -> str:
        """The name that is never ambiguous."""
        return f"{self.distribution}:{self.name}"

    @property
    def label(self) -> str:
        """The name for messages, with who is to blame."""
        return f"{self.name} ({self.distribution} {self.version})"

    def answers_to(self, name: str) -> bool:
        """Whether `name`, short or qualified, may mean this component."""
        distribution, colon, short = name.rpartition(":")
        return short == self.name and (
            not colon or canonical(distribution) == canonical(self.distribution)
        )

    def load(self) -> type:
        """Import the class.

        Raises:
            PluginError: it cannot be imported, or what is there is no class of this kind.
        """
        try:
            with isolated(f"import of {self.target}"):
                return self._class()
        except IsolatedError as failure:
            raise PluginError(
                f"{self.kind} {self.label} cannot be loaded: {failure}; {remedy(self.distribution)}"
            ) from failure.__cause__

    def _class(self) -> type:
        module, _, path = self.target.partition(":")
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        if not isinstance(found, type):
            raise PluginError(f"it is a {type(found).__name__}, not a class")
        if (why := misshapen(self.kind, found)) is not None:
            raise PluginError(why)
        return found
