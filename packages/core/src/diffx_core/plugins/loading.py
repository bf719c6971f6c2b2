"""Loading plugins one by one: version, import, registration, hooks, records; each stage contained.

A failure at any stage disables that plugin alone. It stays in the result with the stage and the
reason, because hiding a broken plugin is as bad as crashing on it. pluggy's own
``load_setuptools_entrypoints`` and ``manager.hook.x()`` stop at the first one that fails, which
is why neither is used.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version

import pluggy
from attrs import frozen

from diffx_core.errors import PluginError
from diffx_core.plugins.compatibility import check_requirements
from diffx_core.plugins.component import Component, Kind
from diffx_core.plugins.discovery import Source, canonical
from diffx_core.plugins.hookspecs import HOOK_OF_KIND, PROJECT, Hooks
from diffx_core.plugins.isolation import IsolatedError, isolated
from diffx_core.plugins.suggestion import did_you_mean, remedy

Offer = tuple[Kind, Component]
_Hook = tuple[Kind, Callable[[], object]]


@frozen
class Plugin:
    """What came of loading a plugin.

    Args:
        entry: the name of its entry point.
        distribution: the distribution that declares it.
        version: of that distribution.
        components: what it offers, with the kind of each; empty if it failed.
        error: None, or the stage and the reason of its failure in one line.
    """

    entry: str
    distribution: str
    version: str
    components: tuple[Offer, ...] = ()
    error: str | None = None

    def goes_by(self, name: str) -> bool:
        """Whether the user may mean this plugin by `name`."""
        return canonical(name) in {canonical(self.entry), canonical(self.distribution)}

    @property
    def diagnosis(self) -> str:
        """One line about a failure and its remedy."""
        label = f"{self.entry!r} ({self.distribution} {self.version})"
        return f"plugin {label} is disabled: {self.error}; {remedy(self.distribution)}"


def load_plugins(sources: Iterable[Source], *, strict: bool = False) -> tuple[Plugin, ...]:
    """Load each of the plugins by itself.

    Args:
        sources: where the plugins come from.
        strict: raise on the first failure, with the plugin's own traceback as the cause.

    Raises:
        PluginError: a plugin failed, and `strict` is set.
    """
    plugins: list[Plugin] = []
    core = _core_version()
    for source in sources:
        taken = [o for p in plugins if p.distribution == source.distribution for o in p.components]
        plugins.append(_load(source, core, taken, strict=strict))
    return tuple(plugins)


def _core_version() -> str | None:
    try:
        return version("diffx-core")
    except PackageNotFoundError:
        return None  # run from a source folder: there is no version to compare with


def _load(source: Source, core: str | None, taken: Sequence[Offer], *, strict: bool) -> Plugin:
    names = (source.entry_point.name, source.distribution, source.version)
    try:
        return Plugin(*names, components=_offers(source, core, taken))
    except IsolatedError as failure:
        plugin = Plugin(*names, error=str(failure))
        if strict:
            raise PluginError(plugin.diagnosis) from failure.__cause__
        return plugin


def _offers(source: Source, core: str | None, taken: Sequence[Offer]) -> tuple[Offer, ...]:
    with isolated("metadata"):
        if source.damage is not None:
            raise PluginError(source.damage)
    with isolated("version"):
        check_requirements(source.requires, core)
    with isolated("import"):
        module = source.entry_point.load()
    # A manager of its own: the half-registered state that a failure may leave is dropped with it.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    with isolated("register"):
        manager.register(module, source.entry_point.name)
    with isolated("hooks"):
        hooks = _hooks(manager, module)
    offers: list[Offer] = []
    for kind, implementation in hooks:
        with isolated(f"hook {HOOK_OF_KIND[kind]}"):
            returned = implementation()
        with isolated(f"records of {HOOK_OF_KIND[kind]}"):
            offers += _checked(kind, returned, [*taken, *offers])
    return tuple(offers)


def _hooks(manager: pluggy.PluginManager, module: object) -> list[_Hook]:
    """The plugin's own implementations, once all of them are known to be of a hook that exists."""
    found: list[_Hook] = []
    kinds = {hook: kind for kind, hook in HOOK_OF_KIND.items()}
    callers = manager.get_hookcallers(module) or []
    for caller in callers:
        for implementation in caller.get_hookimpls():
            if caller.name in kinds:
                found.append((kinds[caller.name], implementation.function))
            elif not implementation.optionalhook:
                raise PluginError(
                    f"there is no hook {caller.name!r}{did_you_mean(caller.name, kinds)}"
                )
    unmarked = [hook for hook in kinds if callable(getattr(module, hook, None))]
    for hook in unmarked:
        if hook not in {caller.name for caller in callers}:
            raise PluginError(f"{hook} is not marked with @hookimpl")
    if not callers:
        raise PluginError("it implements no hook; mark its functions with @hookimpl")
    return found


def _checked(kind: Kind, returned: object, taken: Sequence[Offer]) -> list[Offer]:
    if not isinstance(returned, list | tuple):
        raise PluginError(f"expected a list of Component, got {type(returned).__name__}")
    names = {component.name for other, component in taken if other == kind}
    for record in returned:
        if not isinstance(record, Component):
            raise PluginError(f"expected Component, got {type(record).__name__}")
        if record.name in names:
            raise PluginError(f"the distribution offers {kind} {record.name!r} twice")
        names.add(record.name)
    return [(kind, record) for record in returned]
