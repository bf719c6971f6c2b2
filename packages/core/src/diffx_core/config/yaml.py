"""Configuration files: YAML 1.2, reduced to flat dotted keys that remember their line.

A file is data and nothing else: tags, anchors, aliases, duplicate keys, several documents, dates
and anything else that JSON has no type for are refused. ``scheduler: vesde``, ``scheduler: {name:
vesde, sigma_max: 50}`` and ``scheduler.sigma_max: 50`` mean the same as the flags of the same name.
"""

import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from diffx_core.config.structure import Given
from diffx_core.config.wording import show
from diffx_core.errors import ConfigError

_Ruamel: TypeAlias = Any  # ruamel types its nodes and constructors as Any

MAX_BYTES = 1_000_000
MAX_DEPTH = 8


def read_yaml(path: Path, *, named: Collection[str] = ()) -> dict[str, Given]:
    """The values of a file by dotted key.

    Args:
        path: the file.
        named: sections whose ``name`` is the section's own value: ``scheduler.name`` is
            ``scheduler``, unless that is given by itself.

    Raises:
        ConfigError: one line, with file and line number, for each thing that is wrong.
    """
    text = _read(path)
    values: dict[str, Given] = {}
    problems: list[str] = []
    entries = list(_entries(path, text))
    # Where the section has a value of its own already, its ``name`` is an option like any other.
    named = set(named) - {key for key, _, _ in entries}
    for key, value, line in entries:
        section, dot, rest = key.rpartition(".")
        name = section if dot and rest == "name" and section in named else key
        if name in values:
            problems.append(f"{path}:{line}: {name} is given twice (see {values[name].source})")
        values[name] = Given(value, f"{path}:{line}: {name}")
    if problems:
        raise ConfigError(*problems)
    return values


def write_yaml(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain JSON types as YAML that `read_yaml` reads back as they were."""
    path.write_text(to_yaml(data), encoding="utf-8")


def to_yaml(data: Mapping[str, Any]) -> str:
    """Plain JSON types as YAML text."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment] # typed as None by its stubs
    stream = io.StringIO()
    yaml.dump(dict(data), stream)
    return stream.getvalue()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from None


def _entries(path: Path, text: str) -> Iterator[tuple[str, object, int]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML(typ="safe", pure=True)
    try:
        _refuse_harmful(path, yaml.parse(io.StringIO(text)))
        node = yaml.compose(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise ConfigError(f"{path}:{line}: {error.problem or error.context}") from None
    except ConfigError:
        raise
    except (YAMLError, ValueError, OverflowError, AssertionError) as error:
        raise ConfigError(f"{path}:1: {' '.join(str(error).split())}") from None
    if node is None:
        raise ConfigError(f"{path}:1: is empty")
    if node.id != "mapping":
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: needs 'key: value' at the top")
    yield from _flat(path, yaml.constructor, node, "")


def _refuse_harmful(path: Path, events: Iterator[Any]) -> None:
    # Before anything is built: events cost the length of the file, whatever its aliases would grow
    # to.
    depth = documents = 0
    for event in events:
        kind = type(event).__name__
        where = f"{path}:{event.start_mark.line + 1}"
        documents += kind == "DocumentStartEvent"
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if kind == "AliasEvent" or getattr(event, "anchor", None) is not None:
            raise ConfigError(f"{where}: anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            raise ConfigError(f"{where}: tags such as {show(str(event.tag))} are not allowed")
        if depth > MAX_DEPTH:
            raise ConfigError(f"{where}: is nested too deeply")
        if documents > 1:
            raise ConfigError(f"{where}: a second document is not allowed")


def _flat(
    path: Path, constructor: _Ruamel, node: _Ruamel, prefix: str
) -> Iterator[tuple[str, object, int]]:
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _scalar(path, constructor, key_node)
        if not isinstance(key, str) or not key:
            raise ConfigError(f"{path}:{line}: a key needs to be text, not {show(key)}")
        name = prefix + key.replace("-", "_")
        if value_node.id == "mapping":
            yield from _flat(path, constructor, value_node, f"{name}.")
        elif value_node.id == "sequence":
            yield name, [_scalar(path, constructor, item) for item in value_node.value], line
        else:
            yield name, _scalar(path, constructor, value_node), line


def _scalar(path: Path, constructor: _Ruamel, node: _Ruamel) -> object:
    from ruamel.yaml.error import YAMLError

    line = node.start_mark.line + 1
    if node.id != "scalar":
        raise ConfigError(f"{path}:{line}: needs a single value here")
    try:
        value: object = constructor.construct_object(node)
    except (ValueError, OverflowError, YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}:{line}: {reason}") from None
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ConfigError(f"{path}:{line}: {show(node.value)} is read as a date; put it in quotes")
    return value
