"""What flags, a configuration file and a recipe say, as one: recipe < file < flags."""

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import note
from diffx_cli.output.folders import AUTO, run_folder
from diffx_cli.recipes import recipe
from diffx_cli.sample.repeating import KEY, Record
from diffx_core.config import Given, read_yaml
from diffx_core.errors import CheckpointError, ConfigError, DiffxError
from diffx_core.plugins.component import Kind


@frozen
class Layered:
    """What was said, and where.

    Args:
        given: what counts, by key.
        told: keys that flags or the file give.
        by_recipe: keys that the recipe gives, whether or not they count.
    """

    given: dict[str, Given]
    told: frozenset[str]
    by_recipe: frozenset[str]


def layered(command: Command, flags: Mapping[str, Given], errors: list[DiffxError]) -> Layered:
    """Merge what was said in all places.

    Args:
        command: whose options they are.
        flags: by key.
        errors: where mistakes are added.
    """
    return _Layers(command, errors).merged(flags)


@frozen
class _Layers:
    command: Command
    errors: list[DiffxError]

    def merged(self, flags: Mapping[str, Given]) -> Layered:
        flags = self._unaliased(flags)
        own = self._over(self._file(flags), flags, "file")
        under = self._recipe(own)
        told, by_recipe = frozenset(own), frozenset(under)
        record = self._record(own)
        if record:
            return Layered(self._over(record, own, "record"), told, frozenset())
        return Layered(self._over(under, own, "recipe"), told, by_recipe)

    def _file(self, flags: Mapping[str, Given]) -> dict[str, Given]:
        path = self._path(flags)
        if path is None:
            return {}
        try:
            file = read_yaml(path, named=self.command.components)
        except ConfigError as error:
            self.errors.append(error)
            return {}
        if "config" in file:
            line = f"{file['config'].source}: a file cannot name another file"
            self.errors.append(ConfigError(line))
        if "config" not in flags:  # of a run that goes on, which has begun with weights already
            file.pop("init_from", None)
        return self._unaliased(file)

    def _path(self, flags: Mapping[str, Given]) -> Path | None:
        """The configuration file: the one that is named, or that of a run that goes on."""
        if "config" in flags:
            return Path(str(flags["config"].value))
        resumed = str(flags["resume"].value) if "resume" in flags else AUTO
        if resumed == AUTO:
            return None
        if not resumed:
            self.errors.append(ConfigError("--resume: needs a run or a checkpoint, not ''"))
            return None
        file = run_folder(Path(resumed)) / "config.yaml"
        if not file.is_file():
            self.errors.append(CheckpointError(f"--resume {resumed}: there is no run"))
            return None
        return file

    def _recipe(self, given: Mapping[str, Given]) -> dict[str, Given]:
        if "recipe" not in given or "recipe" not in self.command.declared():
            return {}
        one = given["recipe"]
        try:
            file = recipe(str(one.value))
        except ConfigError as error:
            self.errors.append(ConfigError(*(f"{one.source}: {line}" for line in error.problems)))
            return {}
        values = read_yaml(file, named=self.command.components)
        ours, name = f"{file}:", f"recipe {one.value}:"
        return {
            key: evolve(two, source=two.source.replace(ours, name)) for key, two in values.items()
        }

    def _record(self, given: Mapping[str, Given]) -> dict[str, Given]:
        """What made some samples, if they are to be made again."""
        if KEY not in given or KEY not in self.command.declared():
            return {}
        try:
            record = Record.read(Path(str(given[KEY].value)))
        except DiffxError as error:
            self.errors.append(error)
            return {}
        return record.given(given, self.command.exclusive)

    def _over(
        self, low: dict[str, Given], high: Mapping[str, Given], where: str
    ) -> dict[str, Given]:
        """What is said in two places, of which the one that is called `where` counts less."""
        for kind in self.command.components:
            self._replace(kind, low, high, where)
        return {**low, **high}

    def _replace(
        self, kind: Kind, low: dict[str, Given], high: Mapping[str, Given], where: str
    ) -> None:
        """Forget the options of a component that another one takes the place of."""
        if kind not in high or kind not in low:
            return
        old, new = str(low[kind].value), str(high[kind].value)
        orphans = [key for key in low if key.startswith(f"{kind}.")]
        if orphans and old.rpartition(":")[2] != new.rpartition(":")[2]:
            note(
                f"{high[kind].source} {new} replaces {old},"
                f" so its options in the {where} are not used"
            )
            for key in orphans:
                del low[key]

    def _unaliased(self, given: Mapping[str, Given]) -> dict[str, Given]:
        renamed: dict[str, Given] = {}
        for key, one in given.items():
            name = self.command.aliases.get(key, key)
            if name in renamed:
                line = f"{one.source}: is the same as {renamed[name].source}; give one"
                self.errors.append(ConfigError(line))
            renamed[name] = one
        return renamed
