"""From a plan to a request: defaults < recipe < configuration file < flags, checked as a whole.

Names are checked first, from declarations and records alone. A component is imported only if it was
given options, or when nothing else is wrong; so a mistyped name is answered without importing
torch. What needs nothing but its options is then built, so that what a constructor refuses is in
the same answer as every other mistake.
"""

import re
from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from diffx_cli.line.command import Command
from diffx_cli.line.layers import layered
from diffx_cli.line.options import Learning
from diffx_cli.line.request import Chosen, Request
from diffx_cli.train.loggers import shared_out
from diffx_core.config import Given, flag, nearest, options_of, show, structure
from diffx_core.config.schema import arguments
from diffx_core.errors import ConfigError, DataError, DiffxError, PluginError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered
from diffx_core.plugins.registry import Registry

FREE: tuple[Kind, ...] = ("scheduler", "sampler", "dataset", "text", "logger", "metric")
"""Kinds that are built from their options alone; a backbone has to know the data."""


def resolve(command: Command, texts: Mapping[str, str], registry: Registry) -> Request:
    """Check a plan and fill in what it leaves open.

    Args:
        command: the command.
        texts: the flags' values by key.
        registry: what is installed.

    Raises:
        ConfigError: one line for each thing that is wrong.
        PluginError: every line is about a broken plugin.
        DataError: the dataset cannot be read, and nothing else is wrong.
    """
    request = _Resolver(command, registry).resolve(texts)
    if not isinstance(request.options, Learning) or request.options.preset is None:
        return request
    from diffx_cli.train.sizing import sized

    return sized(request)


@define
class _Resolver:
    """Collects mistakes while it goes from names to values."""

    command: Command
    registry: Registry
    errors: list[DiffxError] = field(factory=list)

    def resolve(self, texts: Mapping[str, str]) -> Request:
        flags = {key: Given(text, flag(key)) for key, text in texts.items()}
        merged = layered(self.command, flags, self.errors)
        given = self._named(merged.given)
        self._unknown(given)
        self._excluded(given)
        options = self._filled(self.command.options, given, "", f"diffx {self.command.name}")
        sections = {
            name: self._filled(target, _under(given, name), f"{name}.", f"section {name}")
            for name, target in self.command.sections.items()
        }
        found = {
            kind: self._find(kind, given)
            for kind, default in self.command.components.items()
            if kind in given or default is not None
        }
        chosen: dict[Kind, Chosen | None] = {}
        # Those with options first: their mistakes belong to the same answer; the others are loaded
        # if all is well.
        for kind, registered in sorted(found.items(), key=lambda one: not _under(given, one[0])):
            if registered is not None and (_under(given, kind) or not self.errors):
                chosen[kind] = self._choose(registered, _under(given, kind))
        listed = {
            kind: self._listed(kind, name, getattr(options, name, ()), given)
            for name, kind in self.command.lists.items()
        }
        self._refuse()
        return Request(
            command=self.command,
            options=options,
            components={kind: one for kind in found if (one := chosen[kind]) is not None},
            sections=sections,
            listed=listed,
            registry=self.registry,
            told=merged.told,
            by_recipe=merged.by_recipe,
        )

    def _named(self, given: dict[str, Given]) -> dict[str, Given]:
        """With the component that ``KIND NAME`` names, if any option of its own is given."""
        kind = str(given["kind"].value) if self.command.names_one and "kind" in given else ""
        if kind not in self.command.components or "name" not in given or kind in given:
            return given
        return {**given, kind: given["name"]} if _under(given, kind) else given

    def _excluded(self, given: Mapping[str, Given]) -> None:
        for group in self.command.exclusive:
            found = (_first(given, key) for key in group)
            sources = [one.source for one in found if one is not None]
            if len(sources) > 1:
                self._problem(f"{sources[0]} and {sources[1]} exclude each other")

    def _unknown(self, given: Mapping[str, Given]) -> None:
        declared = self.command.declared()
        lists = {kind: name for name, kind in self.command.lists.items()}
        owners = (*self.command.components, *self.command.sections, *lists)
        optional = {kind for kind, default in self.command.components.items() if default is None}
        for key, one in given.items():
            owner, dot, _ = key.partition(".")
            if not (key in declared or (dot and owner in owners)):
                self._problem(f"{one.source}: unknown option{_meant(key, declared)}")
            elif dot and owner in optional - set(given):
                self._problem(f"{one.source}: needs --{owner} NAME, whose option it is")
            elif owner in lists and lists[owner] not in given:
                self._problem(f"{one.source}: needs --{lists[owner]} NAME, whose option it is")

    def _filled(
        self, target: type, given: Mapping[str, Given], prefix: str, owner: str
    ) -> object | None:
        """The options of a command or a section; None, and it is noted, if they are wrong."""
        options = options_of(target)
        names = {option.name for option in options}
        # The command's own unknown keys have been answered already, with better suggestions.
        relevant = {key: one for key, one in given.items() if prefix or key in names}
        values, problems = structure(options, relevant, owner=owner, prefix=prefix)
        self.errors.extend(ConfigError(problem) for problem in problems)
        if problems:
            return None
        try:
            filled: object = target(**arguments(target, values))
        except ConfigError as error:
            sources = {name: one.source for name, one in relevant.items() if prefix}
            lines = (f"{_about(one, sources) or owner}: {one}" for one in error.problems)
            self.errors.append(ConfigError(*lines))
            return None
        return filled

    def _find(self, kind: Kind, given: Mapping[str, Given]) -> Registered | None:
        name = given[kind].value if kind in given else self.command.components[kind]
        if not isinstance(name, str):
            self._problem(f"{given[kind].source}: needs the name of a {kind}, not {show(name)}")
            return None
        try:
            return self.registry.find(kind, name)
        except DiffxError as error:
            where = given[kind].source if kind in given else ""
            named = not where or where.startswith("--")
            first = error.problems[0] if named else f"{where}: {error.problems[0]}"
            self.errors.append(type(error)(first, *error.problems[1:]))
            return None

    def _listed(
        self, kind: Kind, name: str, texts: Sequence[str], given: Mapping[str, Given]
    ) -> tuple[Chosen, ...]:
        """The components that a list names."""
        if not all(texts):
            self._problem(f"{given[name].source}: a name is empty")
            return ()
        places = [{**given, kind: Given(text, given[name].source)} for text in texts]
        found = [one for place in places if (one := self._find(kind, place)) is not None]
        for one in {one for one in found if found.count(one) > 1}:
            self._problem(f"{given[name].source}: {one.name} is there twice")
        options = _under(given, kind)
        if not found or (self.errors and not options):
            return ()
        try:
            parts, problems = shared_out(kind, found, options)
        except PluginError as error:
            self.errors.append(error)
            return ()
        self.errors.extend(ConfigError(problem) for problem in problems)
        chosen = (self._choose(one, part) for one, part in zip(found, parts, strict=True))
        return tuple(one for one in chosen if one is not None)

    def _choose(self, registered: Registered, given: Mapping[str, Given]) -> Chosen | None:
        try:
            target = registered.load()
            options = options_of(target)
        except PluginError as error:
            self.errors.append(error)
            return None
        values, problems = structure(
            options, given, owner=registered.label, prefix=f"{registered.kind}."
        )
        self.errors.extend(ConfigError(problem) for problem in problems)
        chosen = Chosen(registered=registered, target=target, options=values, told={*given})
        return chosen if problems else self._built(chosen)

    def _built(self, chosen: Chosen) -> Chosen | None:
        if chosen.registered.kind not in FREE:
            return chosen
        try:
            return evolve(chosen, built=chosen.build())
        except DiffxError as error:
            self.errors.append(error)
            return None

    def _problem(self, line: str) -> None:
        self.errors.append(ConfigError(line))

    def _refuse(self) -> None:
        if not self.errors:
            return
        lines = dict.fromkeys(line for error in self.errors for line in error.problems)
        if any(isinstance(error, ConfigError) for error in self.errors):
            raise ConfigError(*lines)
        if len(self.errors) == 1:
            raise self.errors[0]
        plugin = any(isinstance(error, PluginError) for error in self.errors)
        raise PluginError(*lines) if plugin else DataError(*lines)


def _under(given: Mapping[str, Given], owner: str) -> dict[str, Given]:
    prefix = f"{owner}."
    return {key[len(prefix) :]: one for key, one in given.items() if key.startswith(prefix)}


def _first(given: Mapping[str, Given], key: str) -> Given | None:
    """An option, or one of the options that belong to it; None if neither is given."""
    return given.get(key) or next(iter(_under(given, key).values()), None)


def _about(problem: str, sources: Mapping[str, str]) -> str | None:
    """Where the option was given that a problem names first; None if it names none of them."""
    words = re.findall(r"\w+", problem)
    return next((sources[word] for word in words if word in sources), None)


def _meant(key: str, declared: Mapping[str, object]) -> str:
    tail = key.rpartition(".")[2]
    tails = [flag(known) for known in declared if known.rpartition(".")[2] == tail]
    if tails:
        return f"; did you mean {' or '.join(tails)}?"
    near = nearest(flag(key)[2:], (flag(known)[2:] for known in declared))
    return near.replace("mean ", "mean --").replace(" or ", " or --")
