"""What the folder of a run holds, read without its weights and whatever state it is in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

from diffx_cli.line.console import counted
from diffx_cli.output.claims import is_claimed
from diffx_cli.output.folders import run_folder
from diffx_cli.train.watching import METRICS, SAMPLES
from diffx_core.config import read_yaml
from diffx_core.config.run import Run, SavedComponent
from diffx_core.engine.durable import lines, read
from diffx_core.engine.keeping import Best, best
from diffx_core.engine.layout import checkpoints, step_of
from diffx_core.engine.observers import read_metrics
from diffx_core.errors import CheckpointError, DiffxError, reason
from diffx_core.plugins.component import KINDS

CONFIG, ENVIRONMENT = "config.yaml", "env.json"
NEWEST = 12
"""Evaluations and comparisons that are shown; of more, the last."""

_PREVIEW = re.compile(r"step-([0-9]{1,19})\.png")


@frozen(kw_only=True, eq=False)
class Gathered:
    """All that is known of a run.

    Args:
        folder: of it.
        config: what was chosen, by dotted key.
        text: the same, as the file has it.
        environment: with what it was made.
        rows: its figures.
        at_work: whether a process trains it now.
        best: its best checkpoint.
        saved: the steps of its checkpoints, the last first.
        previews: samples that were drawn while it trained, by step.
        films: how samples came about, the last first.
        evaluations: how good its samples are, each with its file.
        comparisons: of samplers, each with its file.
        damages: what cannot be read, a line each.
    """

    folder: Path
    config: dict[str, Any]
    text: str
    environment: dict[str, Any]
    rows: list[dict[str, Any]]
    at_work: bool
    best: Best | None
    saved: tuple[int, ...]
    previews: tuple[tuple[int, Path], ...]
    films: tuple[Path, ...]
    evaluations: tuple[tuple[Path, dict[str, Any]], ...]
    comparisons: tuple[tuple[Path, dict[str, Any]], ...]
    damages: list[str] = field(factory=list)

    @property
    def components(self) -> dict[str, str]:
        """The names of its components, by kind."""
        return {kind: str(self.config[kind]) for kind in KINDS if kind in self.config}

    @property
    def step(self) -> int:
        """The last of which anything is known."""
        return max([0, *self.saved[:1], *(int(row["step"]) for row in self.rows[-50:])])

    @property
    def ending(self) -> str:
        """Why it ended before its last step; empty if it did not, or could not say so."""
        said = self.rows[-1].get("ended") if self.rows else None
        return said if isinstance(said, str) else ""

    @property
    def run(self) -> Run:
        """How it was made, as its configuration says: also before there is a checkpoint."""
        versions = self.environment.get("distributions")
        known = versions if isinstance(versions, dict) else {}
        made = {
            kind: SavedComponent(
                name=name,
                distribution=name.rpartition(":")[0],
                version=str(known.get(name.rpartition(":")[0], "")),
                options=self.section(kind),
            )
            for kind, name in self.components.items()
        }
        return Run(components=made, sections={"objective": self.section("objective")})

    def section(self, name: str) -> dict[str, Any]:
        """What was chosen of a section, or of a component of a kind."""
        head = f"{name}."
        return {
            key.removeprefix(head): one for key, one in self.config.items() if key.startswith(head)
        }

    def relative(self, path: Path) -> str:
        """A file as it is called in the folder."""
        return path.relative_to(self.folder).as_posix()


def gathered(path: Path) -> Gathered:
    """Read the folder of a run, or that of one of its checkpoints.

    Raises:
        CheckpointError: there is no run.
        ConfigError: its configuration is damaged.
    """
    folder = run_folder(path)
    config = folder / CONFIG
    if not config.is_file():
        what = "is no run" if folder.is_dir() else "there is no such run"
        raise CheckpointError(f"{path}: {what}: {CONFIG} is not there")
    named = read_yaml(config, named=KINDS)
    damages: list[str] = []
    return Gathered(
        folder=folder,
        config={key: one.value for key, one in named.items()},
        text=config.read_text(encoding="utf-8"),
        environment=_json(folder / ENVIRONMENT, damages) or {},
        rows=_rows(folder / METRICS, damages),
        at_work=is_claimed(folder),
        best=_best(folder, damages),
        saved=tuple(step for one in checkpoints(folder) if (step := step_of(one)) is not None),
        previews=tuple(sorted(_previews(folder / SAMPLES))),
        films=tuple(_newest(folder, f"{SAMPLES}/*/trajectory.gif")),
        evaluations=tuple(_each(folder, "evaluations/*/evaluation.json", damages)),
        comparisons=tuple(_each(folder, "comparisons/*/comparison.json", damages)),
        damages=damages,
    )


def _rows(path: Path, damages: list[str]) -> list[dict[str, Any]]:
    """The figures; a last line that is being written, or was cut off by a crash, is none."""
    if not path.exists():
        return []
    try:
        whole = sum(line.endswith(b"\n") and not line.isspace() for line in lines(path))
        rows = read_metrics(path)
    except OSError as error:
        damages.append(f"{path.name}: cannot be read: {error.strerror or error}")
        return []
    lost = whole - len(rows)
    if lost > 0:
        damages.append(f"{path.name}: damaged; the figures of {counted(lost, 'line')} are lost")
    return rows


def _best(folder: Path, damages: list[str]) -> Best | None:
    try:
        return best(folder)
    except DiffxError as error:
        damages.append(reason(error))
        return None


def _previews(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob("step-*.png"):
        match = _PREVIEW.fullmatch(path.name)
        if match is not None:
            yield int(match[1]), path


def _each(folder: Path, pattern: str, damages: list[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The last files of results, the newest first."""
    found = _newest(folder, pattern)
    if len(found) > NEWEST:
        damages.append(f"{pattern}: the last {NEWEST} of {len(found)} are shown")
    for path in found[:NEWEST]:
        facts = _json(path, damages)
        if facts is not None:
            yield path, facts


def _newest(folder: Path, pattern: str) -> list[Path]:
    """Files by their time, the newest first."""
    dated = []
    for path in folder.glob(pattern):
        try:
            dated.append((path.stat().st_mtime_ns, path))
        except OSError:  # it has just been removed
            continue
    return [path for _, path in sorted(dated, reverse=True)]


def _json(path: Path, damages: list[str]) -> dict[str, Any] | None:
    try:
        facts = json.loads(read(path))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or "it is not JSON"
        damages.append(f"{path.name} of {path.parent.name}: cannot be read: {why}")
        return None
    if not isinstance(facts, dict):
        damages.append(f"{path.name} of {path.parent.name}: cannot be read: it is not an object")
        return None
    return facts
