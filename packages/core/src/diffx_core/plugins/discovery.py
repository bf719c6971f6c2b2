"""Finding what is installed, from metadata alone, and choosing from it by the environment.

``DIFFX_PLUGINS=a,b`` loads these and no others (empty: none); ``DIFFX_DISABLE_PLUGINS=a,b`` leaves
these out. A plugin goes by the name of its entry point or of its distribution.
"""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint, distribution, distributions
from typing import Final

from attrs import frozen

from diffx_core.errors import ConfigError, reason
from diffx_core.plugins.hookspecs import PROJECT
from diffx_core.plugins.suggestion import did_you_mean, listing

ALLOW: Final = "DIFFX_PLUGINS"
DISABLE: Final = "DIFFX_DISABLE_PLUGINS"


@frozen
class Source:
    """Where a plugin comes from.

    Args:
        entry_point: what the distribution declares.
        distribution: its name.
        version: its version.
        requires: its requirements, as its metadata state them.
        damage: why its metadata cannot be read; None if they can.
    """

    entry_point: EntryPoint
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    damage: str | None = None

    def goes_by(self, name: str) -> bool:
        """Whether the user may mean this plugin by `name`."""
        return canonical(name) in {canonical(self.entry_point.name), canonical(self.distribution)}


def canonical(name: str) -> str:
    """The spelling under which two names of a distribution are the same, after PEP 503."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def discover() -> tuple[Source, ...]:
    """Every installed plugin, ordered by distribution and entry point; nothing is imported."""
    found: dict[str, Distribution] = {}
    # Reading one small text is cheap; parsing the metadata of everything on the path is not.
    for candidate in filter(_may_declare_plugins, distributions()):
        if name := _name_of(candidate):
            # The first on the path is the one that Python imports, whatever a second declares.
            found[canonical(name)] = distribution(name)
    sources = [source for name, dist in found.items() for source in _sources(name, dist)]
    return tuple(sorted(sources, key=lambda s: (canonical(s.distribution), s.entry_point.name)))


def select(
    sources: Sequence[Source], environ: Mapping[str, str]
) -> tuple[tuple[Source, ...], tuple[Source, ...]]:
    """The plugins that the environment lets in, and those that it leaves out.

    Raises:
        ConfigError: the allow-list names something that is not installed.
    """
    allow = None if ALLOW not in environ else _names(environ[ALLOW])
    disable = _names(environ.get(DISABLE, ""))
    _check_installed(allow or (), sources)
    chosen = tuple(
        source
        for source in sources
        if (allow is None or any(map(source.goes_by, allow)))
        and not any(map(source.goes_by, disable))
    )
    return chosen, tuple(source for source in sources if source not in chosen)


def _may_declare_plugins(candidate: Distribution) -> bool:
    try:
        return f"[{PROJECT}]" in (candidate.read_text("entry_points.txt") or "")
    except (OSError, UnicodeDecodeError):
        return False


def _name_of(candidate: Distribution) -> str | None:
    """The name under which Python finds it; None for remains, which pip ignores as well."""
    try:
        name = candidate.metadata["Name"]
        distribution(name)
    except Exception:  # noqa: BLE001 - remains fail in ways that differ between versions of Python
        return None
    return name


def _sources(name: str, dist: Distribution) -> list[Source]:
    try:
        metadata = dist.metadata
        facts = (metadata["Name"], metadata["Version"], tuple(dist.requires or ()))
        return [Source(point, *facts) for point in dist.entry_points.select(group=PROJECT)]
    except Exception as cause:  # noqa: BLE001 - for the same reason
        unread = EntryPoint(name=name, value=name, group=PROJECT)
        return [Source(unread, name, "unknown", damage=reason(cause))]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _check_installed(allow: Sequence[str], sources: Sequence[Source]) -> None:
    known = sorted({s.entry_point.name for s in sources} | {s.distribution for s in sources})
    problems = [
        f"{ALLOW} names {name!r}, which is not an installed plugin{did_you_mean(name, known)}"
        f"; installed: {listing(known)}"
        for name in allow
        if not any(source.goes_by(name) for source in sources)
    ]
    if problems:
        raise ConfigError(*problems)
