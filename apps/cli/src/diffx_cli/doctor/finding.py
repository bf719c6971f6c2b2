"""What a check found, and what it works with."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from attrs import define, frozen

from diffx_core.errors import reason
from diffx_core.plugins import Registry

Status = Literal["ok", "fail", "told"]
"""Whether it is well; what is only told is neither."""


@frozen(kw_only=True)
class Finding:
    """One line.

    Args:
        part: of the whole check.
        what: must hold.
        status: whether it does.
        figure: that was measured, if there is one.
        limit: the largest figure with which all is well.
        detail: where or with what, or why not.
    """

    part: str
    what: str
    status: Status
    figure: float | None = None
    limit: float | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as plain JSON types; a figure that is not finite is null."""
        return {
            "part": self.part,
            "what": self.what,
            "status": self.status,
            "figure": None
            if self.figure is None or not math.isfinite(self.figure)
            else self.figure,
            "limit": self.limit,
            "detail": self.detail,
        }


def held(part: str, what: str, figure: float, limit: float, detail: str = "") -> Finding:
    """A figure that has to be within a limit; one that is not a number is not."""
    status: Status = "ok" if figure <= limit else "fail"
    return Finding(part=part, what=what, status=status, figure=figure, limit=limit, detail=detail)


@define
class Visit:
    """What the checks work with.

    Args:
        registry: what is installed.
        device: to be checked.
        quick: whether the training is of points, instead of digits.
        folder: for whatever has to be written; it is removed afterwards.
        run: that was trained, once there is one.
    """

    registry: Registry
    device: torch.device
    quick: bool
    folder: Path
    run: Path | None = None


Check: TypeAlias = Callable[[Visit], Iterator[Finding]]


def findings(part: str, check: Check, visit: Visit) -> Iterator[Finding]:
    """What a check finds; an exception is a failure, and ends that check alone."""
    try:
        yield from check(visit)
    except Exception as error:  # noqa: BLE001  # whatever is broken here is what is looked for
        yield Finding(part=part, what="the check can be made", status="fail", detail=reason(error))
