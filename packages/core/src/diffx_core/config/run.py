"""The saved form of a run: which components with which options, whose they are, and the rest.

Names are qualified and options are complete, so a run means the same whatever is installed later,
and a component that is no longer there can be asked for by the name of its distribution. Only names
are saved, never import paths.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from attrs import asdict, field, frozen

from diffx_core.config.convert import Value
from diffx_core.config.schema import options_of
from diffx_core.config.structure import Given, structure
from diffx_core.config.wording import show
from diffx_core.errors import CheckpointError, ConfigError, PluginError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered
from diffx_core.plugins.registry import Registry

FORMAT = 1
"""The version of the saved form. It changes when an older diffx could not read a newer record."""

Section = TypeVar("Section")


@frozen(kw_only=True)
class SavedComponent:
    """One component of a run.

    Args:
        name: qualified, ``distribution:name``.
        distribution: whose it is.
        version: of the distribution, when the run was made.
        options: all of them, as plain JSON types.
        fingerprint: of the files that the options only name; empty if there are none.
    """

    name: str
    distribution: str
    version: str
    options: dict[str, Any] = field(factory=dict)
    fingerprint: str = ""

    @property
    def label(self) -> str:
        """The component for messages, as `Registered.label` writes it."""
        return f"{self.name.rpartition(':')[2]} ({self.distribution} {self.version})"

    @classmethod
    def of(cls, registered: Registered, options: Mapping[str, Any], fingerprint: str = "") -> Self:
        """What to save about a component and its typed options."""
        return cls(
            name=registered.qualified,
            distribution=registered.distribution,
            version=registered.version,
            options=plain(options),
            fingerprint=fingerprint,
        )


@frozen(kw_only=True)
class Run:
    """Everything that was chosen for a run.

    Args:
        components: by kind.
        sections: the options that belong to no component, by section, as plain JSON types.
        seed: of everything random.
        spec: the facts about the data, as plain JSON types.
    """

    components: dict[str, SavedComponent]
    sections: dict[str, dict[str, Any]] = field(factory=dict)
    seed: int = 0
    spec: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON types."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The record, read back.

        Raises:
            CheckpointError: it is not one, or a newer diffx wrote it.
        """
        fields = dict(record)
        version = fields.pop("format", None)
        if version != FORMAT:
            raise CheckpointError(
                f"the run was saved in format {show(version)}, this diffx reads format {FORMAT}"
            )
        try:
            components = {
                kind: SavedComponent(**one) for kind, one in fields.pop("components").items()
            }
            return cls(components=components, **fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise CheckpointError(f"the record of the run is damaged: {error}") from None

    def to_config(self) -> dict[str, Any]:
        """What a configuration file says that makes the same run again."""
        chosen: dict[str, Any] = {}
        for kind, one in self.components.items():
            if "name" in one.options:  # an option of the component's own, so the keys are dotted
                dotted = {f"{kind}.{option}": value for option, value in one.options.items()}
                chosen |= {kind: one.name, **dotted}
            else:
                chosen[kind] = {"name": one.name, **one.options}
        return {**chosen, **self.sections, "seed": self.seed}

    def build(self, kind: Kind, registry: Registry, *facts: object) -> Value:
        """The component of a kind, built again as it was.

        Args:
            kind: which.
            registry: where to find it.
            facts: what the class takes before its options; a backbone takes the `DataSpec`.

        Raises:
            PluginError: its distribution is not installed, or broken.
            CheckpointError: it no longer takes the options that were saved.
        """
        saved = self.components[kind]
        target = self._find(kind, registry).load()
        source = f"the saved {kind} {saved.label}"
        given = {name: Given(value, source) for name, value in saved.options.items()}
        options, problems = structure(
            options_of(target), given, owner=f"the installed {saved.name}"
        )
        if problems:
            raise CheckpointError(*problems)
        return target(*facts, **options)

    def section(self, name: str, target: type[Section]) -> Section:
        """The options of a section, built again as they were.

        Raises:
            CheckpointError: the section no longer takes what was saved.
        """
        given = {key: Given(one, f"the saved {name}") for key, one in self.sections[name].items()}
        options, problems = structure(options_of(target), given, owner=f"section {name}")
        if problems:
            raise CheckpointError(*problems)
        return target(**options)

    def _find(self, kind: Kind, registry: Registry) -> Registered:
        saved = self.components[kind]
        try:
            return registry.find(kind, saved.name)
        except (ConfigError, PluginError) as error:
            raise PluginError(
                f"the run needs {kind} {saved.label}, which"
                f" cannot be found here: pip install {saved.distribution}",
                *error.problems,
            ) from None


def plain(value: object) -> Value:
    """Typed options as plain JSON types."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
