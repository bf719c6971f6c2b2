"""The hooks: one per kind of component, each returning records.

A plugin implements the hooks of what it offers as plain functions marked with `hookimpl`. Each is
called once, when the registry is loaded, and alone. It takes nothing, imports no implementation
and has no side effect.
"""

from typing import Final, Protocol

import pluggy

from diffx_core.plugins.component import Component, Kind

PROJECT: Final = "diffx"
"""The entry-point group that plugins declare, and the name that their marks carry."""

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""


class Hooks(Protocol):
    """What a plugin may implement; any subset will do."""

    @hookspec
    def diffx_schedulers(self) -> list[Component]:
        """The noise processes that the plugin offers. Called once, when the registry is loaded."""

    @hookspec
    def diffx_backbones(self) -> list[Component]:
        """The networks that the plugin offers. Called once, when the registry is loaded."""

    @hookspec
    def diffx_samplers(self) -> list[Component]:
        """The samplers that the plugin offers. Called once, when the registry is loaded."""

    @hookspec
    def diffx_datasets(self) -> list[Component]:
        """The datasets that the plugin offers. Called once, when the registry is loaded."""

    @hookspec
    def diffx_text_encoders(self) -> list[Component]:
        """The text encoders that the plugin offers. Called once, when the registry is loaded."""

    @hookspec
    def diffx_loggers(self) -> list[Component]:
        """The loggers that the plugin offers. Called once, when the registry is loaded."""


HOOK_OF_KIND: Final[dict[Kind, str]] = {
    "scheduler": "diffx_schedulers",
    "backbone": "diffx_backbones",
    "sampler": "diffx_samplers",
    "dataset": "diffx_datasets",
    "text": "diffx_text_encoders",
    "logger": "diffx_loggers",
}
"""Which hook offers which kind."""
