"""Why a name means nothing, and what to do about it."""

from collections.abc import Sequence

from diffx_core.errors import ConfigError, DiffxError, PluginError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.discovery import ALLOW, DISABLE, canonical
from diffx_core.plugins.loading import Plugin
from diffx_core.plugins.registered import Registered
from diffx_core.plugins.suggestion import did_you_mean, listing


def ambiguous(kind: Kind, name: str, matches: Sequence[Registered]) -> DiffxError:
    """Several distributions offer the name: say which one is meant."""
    choices = " or ".join(f"{r.qualified!r} (version {r.version})" for r in matches)
    return ConfigError(f"{kind} {name!r} is ambiguous: say {choices}")


def unknown(
    kind: Kind,
    name: str,
    *,
    offered: Sequence[Registered],
    plugins: Sequence[Plugin],
    left_out: Sequence[str],
) -> DiffxError:
    """No component has the name: a mistake, or the fault of a plugin that is broken or missing.

    Args:
        kind: what was asked for.
        name: the name that was asked for, short or qualified.
        offered: every component of every kind.
        plugins: every plugin that was tried.
        left_out: the distributions that the environment switched off.
    """
    distribution, _, short = name.rpartition(":")
    known = [r.qualified if distribution else r.name for r in offered if r.kind == kind]
    problem = f"unknown {kind} {name!r}"
    guess = did_you_mean(name, known)
    broken = [p for p in plugins if p.error is not None]
    suspects = [p for p in broken if _may_offer(p, distribution, short)]
    if suspects:
        return PluginError(problem, *(p.diagnosis for p in suspects))
    if off := [d for d in left_out if canonical(d) == canonical(distribution)]:
        return PluginError(f"{problem}: {off[0]} is switched off by {ALLOW} or {DISABLE}")
    if distribution and not any(_is(p, distribution) for p in plugins):
        return PluginError(
            f"{problem}{guess or ':'} no plugin of the distribution {distribution!r} is installed; "
            f"`pip install {distribution}` if that is where it comes from"
        )
    if elsewhere := [r.kind for r in offered if r.answers_to(name)]:
        return ConfigError(f"{problem}: {name!r} is a {elsewhere[0]}")
    error = PluginError if broken and not guess else ConfigError
    note = f"switched off by {ALLOW} or {DISABLE}: {listing(left_out)}"
    return error(
        f"{problem}{guess or ';'} installed: {listing(dict.fromkeys(known))}",
        *(p.diagnosis for p in broken),
        *([note] if left_out else []),
    )


def no_match(
    name: str,
    kind: Kind | None,
    *,
    offered: Sequence[Registered],
    plugins: Sequence[Plugin],
    left_out: Sequence[str],
) -> DiffxError:
    """Neither a component nor a plugin has the name.

    Args:
        name: the name that was asked for: of a component, a distribution or an entry point.
        kind: what it had to be, if that was said.
        offered: every component of every kind.
        plugins: every plugin that was tried.
        left_out: the distributions that the environment switched off.
    """
    if kind is not None:
        if any(p.goes_by(name) for p in plugins):
            return ConfigError(f"{name!r} offers no {kind}")
        return unknown(kind, name, offered=offered, plugins=plugins, left_out=left_out)
    distribution, colon, short = name.rpartition(":")
    if suspects := [p for p in plugins if p.error and _may_offer(p, distribution, short)]:
        return PluginError(f"unknown component {name!r}", *(p.diagnosis for p in suspects))
    homes = {canonical(name), canonical(distribution)}
    if off := [one for one in left_out if canonical(one) in homes]:
        return PluginError(f"{off[0]} is switched off by {ALLOW} or {DISABLE}")
    names = [r.qualified if colon else r.name for r in offered]
    names += [one for p in plugins for one in (p.distribution, p.entry)]
    guess = did_you_mean(name, dict.fromkeys(names))
    return ConfigError(
        f"{name!r} is no component and no plugin that is installed{guess or ';'}"
        " `diffx list-plugins` shows all of them"
    )


def _is(plugin: Plugin, distribution: str) -> bool:
    return canonical(plugin.distribution) == canonical(distribution)


def _may_offer(plugin: Plugin, distribution: str, short: str) -> bool:
    """Whether a broken plugin is the likely home of a name, judged by what it is called."""
    if distribution:
        return _is(plugin, distribution)
    return canonical(plugin.entry) == canonical(short) or any(
        _is(plugin, home) for home in (short, f"diffx-{short}")
    )
