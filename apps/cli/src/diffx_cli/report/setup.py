"""What a run was made of, and on what."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from diffx_cli.report.gathered import CONFIG, Gathered
from diffx_cli.report.parts import Facts, Lines, Missing, Part, Text
from diffx_core.plugins.component import KINDS

LONGEST, LONGEST_VALUE = 40_000, 2000
"""Letters of a file and of a value that are shown."""


def configuration(found: Gathered) -> list[Part]:
    """Every option of the run, by section, and the file that has them."""
    rest: list[tuple[str, str]] = []
    sections: dict[str, list[tuple[str, str]]] = {}
    for key, value in found.config.items():
        head, dot, tail = key.partition(".")
        if dot or head in KINDS:
            sections.setdefault(head, []).append((tail if dot else "name", _value(value)))
        else:
            rest.append((key, _value(value)))
    parts: list[Part] = [Facts(name, pairs) for name, pairs in sections.items()]
    parts += [Facts("other", rest)] if rest else []
    again = shlex.join(["diffx", "train", "--config", str(found.folder / CONFIG)])
    return [Lines([f"The same run again: {again}"]), *parts, Text(CONFIG, _cut(found.text))]


def environment(found: Gathered) -> list[Part]:
    """With what the run was made."""
    known = found.environment
    if not known:
        return [Missing("There is no env.json that could be read.")]
    plain = [(name, one) for name, one in known.items() if not isinstance(one, dict)]
    groups = [(name, one) for name, one in known.items() if isinstance(one, dict)]
    parts = [Facts("made with", [(name, _value(one)) for name, one in plain])]
    for name, one in groups:
        parts.append(Facts(name, [(key, _value(value)) for key, value in one.items()]))
    return [one for one in parts if one.pairs]


def _value(value: object) -> str:
    """An option as a person writes it."""
    if value is None:
        return "-"
    if isinstance(value, str | Path):
        return _cut(str(value), LONGEST_VALUE)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return _cut(shlex.join(value), LONGEST_VALUE)
    if isinstance(value, Mapping | list):
        return _cut(json.dumps(value), LONGEST_VALUE)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cut(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text) - most} letters more)"
