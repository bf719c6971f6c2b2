"""Where a run goes on: which folder and checkpoint, and whether it is the same run at all."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from diffx_cli.line.console import note
from diffx_cli.output.folders import AUTO, RUNS, is_run, run_folder
from diffx_core.config import read_yaml, written
from diffx_core.config.run import Run
from diffx_core.engine.checkpoint import Checkpoint, load_checkpoint, newest
from diffx_core.engine.keeping import best, drop_later, mark_best
from diffx_core.engine.layout import checkpoints, step_of
from diffx_core.errors import CheckpointError, ConfigError, DataError

FREE: dict[str, frozenset[str]] = {
    "train": frozenset(
        (
            *("steps", "hours", "log_every", "workers", "micro_batch", "auto_micro_batch"),
            *("shard", "compile", "channels_last"),
        )
    ),
    "save": frozenset(("every", "keep")),
    "preview": frozenset(("every", "n", "nfe")),
    "validate": frozenset(("every", "patience", "min_change")),
}
"""What may change when a run goes on, because no weight depends on it or people want it to."""


@frozen
class Origin:
    """Where a run goes on.

    Args:
        folder: of the run.
        path: the checkpoint that was asked for; None for the newest one that is whole.
    """

    folder: Path
    path: Path | None = None

    def checkpoint(self, record: Run) -> Checkpoint | None:
        """What to go on from; None if the run ended before its first checkpoint.

        Raises:
            CheckpointError: the one that was asked for is damaged.
            ConfigError: the run was another one.
            DataError: its data were.
        """
        if self.path is not None:
            found = load_checkpoint(self.path)
        else:
            try:
                sought = newest(self.folder)
            except CheckpointError:
                if any((self.folder / "checkpoints").glob("step-*")):
                    raise
                return None
            for line in sought.skipped:
                note(f"{line}; an earlier checkpoint is used")
            found = sought.checkpoint
        require_same(Run.from_json(found.record), record, self.folder)
        steps = record.sections["train"]["steps"]
        if steps < found.step:
            raise ConfigError(
                f"{self.folder}: has taken {found.step} steps, more than train.steps, which is "
                f"{steps}: name an earlier checkpoint with --resume"
            )
        return found

    def turn(self, found: Checkpoint) -> None:
        """Go another way from here than the run went: nothing was changed until now."""
        self._leave(found)
        self._mark(found)

    def _leave(self, found: Checkpoint) -> None:
        """Leave behind what came after an earlier checkpoint: the run goes another way from there.

        Otherwise the newest checkpoint would be one of the way that was given up.
        """
        step = found.step
        later = [one.name for one in checkpoints(self.folder) if (step_of(one) or 0) > step]
        if self.path is not None and later:
            drop_later(self.folder, step)
            note(f"the run goes on from step {step}: removed {', '.join(sorted(later))}")

    def _mark(self, found: Checkpoint) -> None:
        """Name the best checkpoint again: one of the other way was, or a kill came before that."""
        course = found.progress.get("course", {})
        if course.get("best_step") is None:
            return
        try:
            top = best(self.folder)
        except CheckpointError as error:
            note(f"{error}; it is written again")
            top = None
        with suppress(CheckpointError):  # it may have been pruned
            if top is None or course["best"] < top.value:
                mark_best(self.folder, course["best_step"], course["best"])


def origin(
    resume: str | None, out: Path | None, record: Run, config: Mapping[str, Any], *, overwrite: bool
) -> Origin | None:
    """Where to go on, as the command line says; None to begin.

    Without ``--resume``, the same command goes on where it ended: the folder is named, and holds a
    run that was made by it.

    Args:
        resume: as it was given.
        out: as it was given.
        record: of the run that is wanted.
        config: the same, as a configuration file says it.
        overwrite: as it was given.

    Raises:
        ConfigError: what was said excludes itself.
        CheckpointError: there is nothing to resume.
    """
    if resume is not None and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other")
    if resume not in (None, AUTO):
        assert resume is not None
        return _named(Path(resume), out)
    if out is None:
        return _alike(record) if resume == AUTO else None
    if not overwrite and _holds(out, config):
        return Origin(out)
    return None


def require_same(saved: Run, wanted: Run, folder: Path) -> None:
    """Refuse to go on with another run than the one that was saved.

    Raises:
        ConfigError: its options differ; one line for each.
        DataError: its files do.
    """
    problems = list(differences(saved, wanted))
    if problems:
        hint = "name another folder with --out, or replace it with --overwrite"
        raise ConfigError(*(f"{folder}: {one}; {hint}" for one in problems))
    for kind, one in saved.components.items():
        if one.fingerprint != wanted.components[kind].fingerprint:
            raise DataError(
                f"{folder}: the files of {kind} {one.label} are not those that the run began with"
            )
        if one.version != wanted.components[kind].version:
            other = wanted.components[kind].version
            note(f"the run began with {kind} {one.label}, and goes on with version {other}")


def differences(saved: Run, wanted: Run) -> Iterator[str]:
    """What makes one run another one than what was saved, in words."""
    for kind in sorted({*saved.components, *wanted.components}):
        was, now = saved.components.get(kind), wanted.components.get(kind)
        if was is None or now is None or was.name != now.name:
            names = (None if one is None else one.name for one in (was, now))
            yield "the run has {} as its {}, not {}".format(*_three(names, kind))
        else:
            yield from _changed(was.options, now.options, kind)
    for name, section in wanted.sections.items():
        yield from _changed(saved.sections.get(name, section), section, name, FREE.get(name, ()))
    if _held_out(saved) != _held_out(wanted):
        yield (
            f"the run keeps {_held_out(saved)} examples from training, not {_held_out(wanted)} "
            "(validate.every, validate.examples)"
        )
    if saved.seed != wanted.seed:
        yield f"the run has seed {saved.seed}, not {wanted.seed}"


def _three(names: Iterator[str | None], kind: str) -> tuple[str | None, str, str | None]:
    was, now = names
    return was, kind, now


def _changed(
    was: Mapping[str, Any], now: Mapping[str, Any], owner: str, free: object = ()
) -> Iterator[str]:
    assert isinstance(free, frozenset | tuple)
    for name in sorted({*was, *now} - {*free}):
        if owner == "validate" and name == "examples":
            continue
        if name in was and name in now and was[name] != now[name]:
            yield f"the run has {owner}.{name} {written(was[name])}, not {written(now[name])}"


def _held_out(run: Run) -> int:
    section = run.sections.get("validate", {})
    return section.get("examples", 0) if section.get("every") else 0


def _named(path: Path, out: Path | None) -> Origin:
    folder = run_folder(path)
    if out is not None and out.resolve() != folder.resolve():
        raise ConfigError(f"--resume {path}: goes on in its own folder; leave out --out {out}")
    if not path.is_dir():
        raise CheckpointError(f"--resume {path}: there is no such folder")
    return Origin(folder) if path == folder else Origin(folder, path)


def _holds(out: Path, config: Mapping[str, Any]) -> bool:
    """Whether a folder holds a run that was made by this command, or could have been.

    What is no run, or one of others, is left for whoever claims the folder to refuse.
    """
    if not is_run(out):
        return False
    if any((out / "checkpoints").glob("step-*")):
        return True
    written = ((key, one.value) for key, one in read_yaml(out / "config.yaml").items())
    return _lasting(written) == _lasting(_flat(config))


def _lasting(values: Iterable[tuple[str, object]]) -> dict[str, object]:
    """What may not change while a run goes on, of all that a configuration file says."""
    free = {f"{section}.{name}" for section, names in FREE.items() for name in names}
    return {
        key: value
        for key, value in values
        if key not in free and key.partition(".")[0] not in {"logger", "loggers", "init_from"}
    }


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _alike(record: Run) -> Origin | None:
    """The newest of the numbered runs that this command has made."""
    for folder in sorted({one.parent for one in RUNS.glob("*/checkpoints")}, reverse=True):
        saved = _record(folder)
        if saved is None or list(differences(saved[0], record)):
            continue
        if saved[1] <= record.sections["train"]["steps"]:
            return Origin(folder)
    return None


def _record(folder: Path) -> tuple[Run, int] | None:
    """How a run was made and how far it came, by the newest of its checkpoints that can be read."""
    for one in checkpoints(folder):
        try:
            found = load_checkpoint(one, parts=())
            return Run.from_json(found.record), found.step
        except CheckpointError:  # whoever goes on with the run says which are damaged
            continue
    return None
