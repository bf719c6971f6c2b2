"""The record by which a plugin offers a component: a name, where its class is, and a line about it.

A record is data. It is read without importing the class, so listing fifty plugins costs what fifty
short lists cost.
"""

import re
from typing import Literal, get_args

from attrs import frozen

from diffx_core.errors import ConfigError

Kind = Literal["scheduler", "backbone", "sampler", "dataset", "text", "logger", "metric"]
"""What a component can be."""

KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind, in the order in which they are listed."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@frozen
class Component:
    """One component that a plugin offers.

    Args:
        name: what a user types; lower-case letters, digits and underscores.
        target: where its class is, as ``package.module:Class``; imported on first use.
        summary: one line about it, for listings.

    Examples:
        >>> Component("cosh", "diffx_cosh.sde:CoshSDE", "Hyperbolic noise").name
        'cosh'
        >>> Component("Cosh", "diffx_cosh.sde:CoshSDE")
        Traceback (most recent call last):
        diffx_core.errors.ConfigError: a component's name must be lower-case letters, ...
    """

    name: str
    target: str
    summary: str = ""

    def __attrs_post_init__(self) -> None:
        problems = [
            *_name_problems(self.name),
            *_target_problems(self.target),
            *_summary_problems(self.summary),
        ]
        if problems:
            raise ConfigError(*problems)


def _name_problems(name: object) -> list[str]:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return []
    rule = "lower-case letters, digits and underscores, beginning with a letter"
    return [f"a component's name must be {rule}, got {name!r}"]


def _target_problems(target: object) -> list[str]:
    module, colon, path = target.partition(":") if isinstance(target, str) else ("", "", "")
    parts = [*module.split("."), *path.split(".")]
    if colon and all(part.isidentifier() for part in parts):
        return []
    return [f"a component's target must look like 'package.module:Class', got {target!r}"]


def _summary_problems(summary: object) -> list[str]:
    if isinstance(summary, str) and summary.isprintable():
        return []
    return [f"a component's summary must be one line of text, got {summary!r}"]
