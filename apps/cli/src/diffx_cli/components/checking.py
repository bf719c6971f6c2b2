"""The conformance kit from the shell: every law of a component, measured."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from attrs import frozen

from diffx_cli.line.layout import columns
from diffx_cli.line.request import Chosen
from diffx_core.config import REQUIRED, options_of
from diffx_core.dataset import Dataset
from diffx_core.errors import ConfigError, DataError, DiffxError, reason
from diffx_core.plugins.component import Kind
from diffx_core.plugins.isolation import IsolatedError, isolated
from diffx_core.plugins.registered import Registered
from diffx_core.testing import (
    BACKBONE_LAWS,
    DATASET_LAWS,
    LOGGER_LAWS,
    METRIC_LAWS,
    SAMPLER_LAWS,
    SCHEDULER_LAWS,
    TEXT_LAWS,
    Law,
)

LAWS: Mapping[Kind, tuple[Law[Any], ...]] = {
    "scheduler": SCHEDULER_LAWS,
    "sampler": SAMPLER_LAWS,
    "backbone": BACKBONE_LAWS,
    "dataset": DATASET_LAWS,
    "text": TEXT_LAWS,
    "logger": LOGGER_LAWS,
    "metric": METRIC_LAWS,
}
"""The laws of each kind."""

NEED_FILES: tuple[Kind, ...] = ("dataset", "text", "logger")
"""Kinds of which some cannot be built without files of the user's, or a library of their own."""

Status = Literal["ok", "fail", "not measured"]


@frozen(kw_only=True)
class Finding:
    """What came of holding a component to a law.

    Args:
        registered: the component.
        law: what must hold; None if nothing could be measured.
        status: whether it does.
        figure: the measured deviation, if there is one.
        tolerance: the largest deviation with which the law holds, if it was measured.
        detail: where or with what it was found, or why it was not.
    """

    registered: Registered
    law: str | None
    status: Status
    figure: float | None = None
    tolerance: float | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as plain JSON types; a figure that is not finite is null."""
        return {
            "kind": self.registered.kind,
            "name": self.registered.name,
            "qualified": self.registered.qualified,
            "distribution": self.registered.distribution,
            "version": self.registered.version,
            "law": self.law,
            "status": self.status,
            "figure": _finite(self.figure),
            "tolerance": _finite(self.tolerance),
            "detail": self.detail,
        }


def check(registered: Registered) -> list[Finding]:
    """Hold a component, with its default options, to every law of its kind.

    Raises:
        PluginError: it cannot be imported.
        ConfigError: it cannot be built without being told options.
    """
    target = registered.load()
    try:
        component = _default(registered, target)
        if isinstance(component, Dataset):
            len(component)
    except DataError as error:  # files that are not here say nothing about the laws
        return [_unmeasured(registered, error)]
    except ConfigError as error:
        if registered.kind not in NEED_FILES:
            raise
        return [_unmeasured(registered, error)]
    return [_measured(registered, law, component) for law in LAWS[registered.kind]]


def _unmeasured(registered: Registered, error: DiffxError) -> Finding:
    detail = error.problems[0]
    return Finding(registered=registered, law=None, status="not measured", detail=detail)


def table(findings: Iterable[Finding]) -> str:
    """The findings, one line each, and how many there are of each sort."""
    listed = list(findings)
    rows = [("COMPONENT", "LAW", "FIGURE", "TOLERANCE", "RESULT"), *map(_row, listed)]
    counts = Counter(one.status for one in listed)
    total = f"{counts['ok']} ok, {counts['fail']} failed, {counts['not measured']} not measured"
    return "\n".join([*columns(rows, indent=0), "", total])


def failures(findings: Iterable[Finding]) -> Iterator[str]:
    """One line for each component of which a law does not hold."""
    failed: dict[Registered, list[str]] = {}
    for one in findings:
        if one.status == "fail":
            failed.setdefault(one.registered, []).append(str(one.law))
    for registered, laws in failed.items():
        verb = "does" if len(laws) == 1 else "do"
        yield f"{registered.kind} {registered.label}: {'; '.join(laws)}: {verb} not hold"


def _default(registered: Registered, target: type) -> object:
    required = [one.name for one in options_of(target) if one.default is REQUIRED]
    if required:
        raise ConfigError(
            f"{registered.kind} {registered.label} has no default for {', '.join(required)}, so it"
            f" cannot be checked from here; subclass {registered.kind.title()}Suite and build it"
            " there"
        )
    values = {one.name: one.default for one in options_of(target)}
    chosen: Chosen = Chosen(registered=registered, target=target, options=values)
    # the laws of networks bring data of their own
    return chosen.build if registered.kind == "backbone" else chosen.build()


def _measured(registered: Registered, law: Law[Any], component: object) -> Finding:
    try:
        with isolated(""):
            found = law.measure(component)
    except IsolatedError as failure:
        detail = reason(failure.__cause__ or failure)
        return Finding(registered=registered, law=law.name, status="fail", detail=detail)
    status: Status = "ok" if found.holds else "fail"
    return Finding(
        registered=registered,
        law=law.name,
        status=status if found.measured else "not measured",
        figure=float(found.figure) if found.measured else None,
        tolerance=float(found.tolerance),
        detail=found.detail,
    )


def _row(one: Finding) -> tuple[str, str, str, str, str]:
    result: str = "FAIL" if one.status == "fail" else one.status
    if one.detail and one.status != "ok":
        result += f": {one.detail}"
    component = f"{one.registered.kind} {one.registered.name}"
    return component, one.law or "-", _figure(one.figure), _figure(one.tolerance), result


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if 100 <= abs(value) < 1e5 else f"{value:.2g}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
