"""Samples that are drawn again from the JSON that was written beside them.

What the file says is as if it had been typed; flags count more, and it is said that they do.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from diffx_cli.line.console import counted, note
from diffx_cli.output.folders import with_results
from diffx_core.config import Given
from diffx_core.errors import CheckpointError, DataError

KEY = "from"
"""The option that names the file."""

PLAIN = ("seed", "n", "batch_size", "device", "text_root", "beside")
"""What the file has under the names of options."""
NEEDED = {
    **dict.fromkeys(("run", "device", "weights", "torch"), str),
    **dict.fromkeys(("step", "seed", "n", "batch_size", "threads"), int),
    **dict.fromkeys(("sampler", "scheduler", "guidance"), dict),
    "swapped": bool,
}


@frozen
class Record:
    """What made some samples.

    Args:
        file: where that was written.
        facts: what it says.
    """

    file: Path
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path) -> "Record":
        """Read the file.

        Raises:
            DataError: it cannot be read, or is another.
        """
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"--from {file}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DataError(f"--from {file}: is no JSON: {error}") from error
        wrong = not isinstance(facts, dict) or [
            name for name, kind in NEEDED.items() if not isinstance(facts.get(name), kind)
        ]
        if wrong:
            missing = f": {', '.join(wrong)}" if isinstance(wrong, list) else ""
            raise DataError(
                f"--from {file}: is no sample.json, or one of an older diffx: it lacks what"
                f" reproduces samples{missing}"
            )
        return cls(file, facts)

    def given(self, told: Collection[str], groups: Collection[Collection[str]]) -> dict[str, Given]:
        """What the file says, by the key of the option that says so.

        Args:
            told: keys that somebody has said, which count more.
            groups: of keys that exclude each other.
        """
        said = dict(self._said())
        beaten = {
            key
            for key in said
            for group in groups
            if key in group and any(one in told for one in group)
        }
        over = sorted(beaten | (set(told) & set(said)) | self._prompts(told))
        if over:
            note(f"--from {self.file}: what it says of {', '.join(over)} does not count")
        return {
            key: Given(value, f"{self.file}: {key}")
            for key, value in said.items()
            if key not in beaten
        }

    def prompts(self, n: int, told: Collection[str]) -> list[str] | None:
        """The text of each of n samples; None if the file has none, or others were given."""
        wanted = self.facts.get("prompts")
        if not wanted or self._prompts(told):
            return None
        return [wanted[i % len(wanted)] for i in range(n)]

    def source(self, run: Path) -> Path:
        """The checkpoint that made the samples.

        Args:
            run: where the run or its checkpoint is now.

        Raises:
            CheckpointError: it is not there any more.
        """
        from diffx_core.engine.checkpoint import latest
        from diffx_core.engine.layout import place, standing, step_of

        if not run.exists():
            raise CheckpointError(f"{run}: is not there; name the run of {self.file} with --run")
        step = int(self.facts["step"])
        if not (run / "latest").exists() or step_of(latest(run)) == step:
            return run
        folder = standing(place(run, step))
        if not folder.exists():
            raise CheckpointError(
                f"{run}: has no checkpoint of step {step} any more, which {self.file} names"
            )
        return folder

    def require_same(self, source: Path, found: Mapping[str, Any]) -> None:
        """Refuse a model, or files, that are not those that made the samples.

        Args:
            source: the model.
            found: the facts about it.

        Raises:
            CheckpointError: it has other weights, or the model that guides it has.
            DataError: the images beside the samples are others.
        """
        facts = self.facts
        if found["weights"] != facts["weights"]:
            raise CheckpointError(
                f"{source}: its weights are not those of {self.file}, which were made in"
                f" {counted(facts['step'], 'step')}: name that run with --run"
            )
        if facts["guidance"].get("against") == found["guidance"]["against"] and (
            found["against_weights"] != facts.get("against_weights")
        ):
            against = found["guidance"]["against"]
            raise CheckpointError(f"{against}: its weights are not those of {self.file}")
        if facts.get("beside") == found["beside"] and (
            found["beside_sha256"] != facts.get("beside_sha256")
        ):
            raise DataError(f"--beside {found['beside']}: are not the images of {self.file}")
        if found["torch"] != facts["torch"]:
            note(
                f"{self.file} was written with torch {facts['torch']}, and this is"
                f" {found['torch']}: the last digits may differ"
            )

    def _said(self) -> Iterator[tuple[str, Any]]:
        facts = self.facts
        yield "run", str(with_results(Path(facts["run"]), self.file.parent))
        for kind in ("sampler", *(["scheduler"] if facts["swapped"] else [])):
            yield kind, facts[kind].get("name")
            for name, value in facts[kind].get("options", {}).items():
                if not isinstance(value, float) or math.isfinite(value):
                    yield f"{kind}.{name}", value  # what is infinite nobody said: a default
        for name, value in facts["guidance"].items():
            if value is not None:
                yield f"guidance.{name}", value
        for name in PLAIN:
            if facts.get(name) is not None:
                yield name, facts[name]
        if facts.get("labels"):
            yield "labels", facts["labels"]

    def _prompts(self, told: Collection[str]) -> set[str]:
        return (
            {"prompts"}
            if self.facts.get("prompts") and {"prompt", "prompts"} & set(told)
            else set()
        )
