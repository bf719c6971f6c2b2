"""Plugins: how they are found and loaded, what they offer, what is told about them. No torch."""

from diffx_core.plugins.component import KINDS as KINDS
from diffx_core.plugins.component import Component as Component
from diffx_core.plugins.component import Kind as Kind
from diffx_core.plugins.hookspecs import HOOK_OF_KIND as HOOK_OF_KIND
from diffx_core.plugins.hookspecs import PROJECT as PROJECT
from diffx_core.plugins.hookspecs import Hooks as Hooks
from diffx_core.plugins.hookspecs import hookimpl as hookimpl
from diffx_core.plugins.hookspecs import hookspec as hookspec
from diffx_core.plugins.loading import Plugin as Plugin
from diffx_core.plugins.registered import Registered as Registered
from diffx_core.plugins.registry import Registry as Registry
from diffx_core.plugins.report import Row as Row
from diffx_core.plugins.report import rows as rows
from diffx_core.plugins.report import table as table
