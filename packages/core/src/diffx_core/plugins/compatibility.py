"""Whether a plugin was made for this diffx-core, by its distribution's own requirement on it."""

import re
from collections.abc import Iterable

from diffx_core.errors import PluginError

_ON_CORE = re.compile(r"\s*diffx[-_.]+core(?![\w.-])", re.IGNORECASE)


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
    for text in filter(_ON_CORE.match, requires):
        if core is not None:
            _check(text, core)


def _check(text: str, core: str) -> None:
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    if not requirement.specifier.contains(core, prereleases=True):
        raise PluginError(f"it needs diffx-core {requirement.specifier}, and {core} is installed")
