"""Whether a class can be a component of its kind: what it extends, and where its options are.

Bases are known by name, so that nothing is imported to look at a class.
"""

from collections.abc import Iterator, Mapping
from inspect import get_annotations
from typing import Final

import attrs

from diffx_core.plugins.component import Kind

BASES: Final[Mapping[Kind, str]] = {
    "scheduler": "diffx_core.scheduler.Scheduler",
    "backbone": "torch.nn.modules.module.Module",
    "sampler": "diffx_core.sampler.Sampler",
    "dataset": "diffx_core.dataset.Dataset",
    "text": "diffx_core.text.TextEncoder",
    "logger": "diffx_core.logger.Logger",
    "metric": "diffx_core.metric.Metric",
}
"""What the class of a component extends."""

PUBLIC: Final[Mapping[str, str]] = {"torch.nn.modules.module.Module": "torch.nn.Module"}
"""How a base is written, where that is not ``diffx_core`` and its name."""


def misshapen(kind: Kind, target: type) -> str | None:
    """Why a class cannot be a component of a kind; None if it can.

    Args:
        kind: of the component.
        target: its class.
    """
    base = BASES[kind]
    if base not in {f"{one.__module__}.{one.__qualname__}" for one in target.__mro__}:
        said = PUBLIC.get(base, f"diffx_core.{base.rpartition('.')[2]}")
        return f"the class of a {kind} extends {said}, and {target.__name__} does not"
    if kind == "backbone":
        return None
    for one in target.__mro__:
        if fields := ", ".join(_undecorated(one)):
            return (
                f"{one.__name__} has the fields {fields} and is no attrs class, so that they are no"
                " options: write @attrs.frozen(kw_only=True) above it"
            )
    if attrs.has(target) and (fields := ", ".join(_by_place(target))):
        return (
            f"the fields {fields} of {target.__name__} are not keyword-only, so that they are no"
            " options: write @attrs.frozen(kw_only=True) above it"
        )
    return None


def _undecorated(one: type) -> Iterator[str]:
    """Fields with a value, as attrs and dataclasses declare them, of a class that is neither."""
    if "__attrs_attrs__" in vars(one) or one.__module__.startswith("diffx_core."):
        return
    for name, hint in get_annotations(one).items():
        is_of_class = str(hint).startswith(("ClassVar", "typing.ClassVar"))
        if name in vars(one) and not name.startswith("_") and not is_of_class:
            yield name


def _by_place(target: type) -> Iterator[str]:
    """The fields of a class none of whose own is keyword-only, as if its author had not known."""
    own = [one for one in attrs.fields(target) if one.init and not one.inherited]
    if not any(one.kw_only for one in own):
        yield from (one.name for one in own)
