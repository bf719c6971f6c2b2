"""Whether a plugin was made for this diffx-core, by its distribution's own requirement on it."""

import re
from collections.abc import Iterable

from diffx_core.errors import PluginError

_ON_CORE = re.compile(r"\s*diffx[-_.]+core(?![\w.-])\s*(?P<range>.*)", re.IGNORECASE)
_RELEASE = re.compile(r"\d+(\.\d+)*")
_BOUND = re.compile(rf"\s*(?P<side>>=|<)\s*(?P<release>{_RELEASE.pattern})\s*")


def check_requirements(requires: Iterable[str], core: str | None) -> None:
    """Refuse a plugin whose requirement on diffx-core is not met.

    Pip checks this when it installs, but a later upgrade of either side can break it. A requirement
    whose marker does not hold here, such as that of an extra, is none.

    Args:
        requires: ``Requires-Dist`` lines.
        core: the installed version; None if it is unknown, and then nothing is refused.

    Raises:
        PluginError: the requirement is not met.
    """
    for match in filter(None, map(_ON_CORE.match, requires)):
        if core is not None and not _within_bounds(match["range"], core):
            _check(match.string, core)


def _within_bounds(text: str, core: str) -> bool:
    """Whether a final release lies in a range as plain as ``>=0.1,<0.2``; False also if unsure.

    Nearly every plugin states its range so, and importing `packaging` takes a sixth of a listing.
    """
    bounds = [_BOUND.fullmatch(clause) for clause in text.split(",")]
    if not _RELEASE.fullmatch(core):
        return False
    return all(
        bound and (_key(core) >= _key(bound["release"])) is (bound["side"] == ">=")
        for bound in bounds
    )


def _key(release: str) -> tuple[int, ...]:
    return tuple(map(int, re.sub(r"(\.0+)+$", "", release).split(".")))


def _check(text: str, core: str) -> None:
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    if not requirement.specifier.contains(core, prereleases=True):
        raise PluginError(f"it needs diffx-core {requirement.specifier}, and {core} is installed")
