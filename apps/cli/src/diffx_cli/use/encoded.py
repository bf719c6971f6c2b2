"""The latents that `diffx encode` writes, and what made them, which their decoding has to suit."""

import json
from pathlib import Path
from typing import Any, Self

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_cli.output.folders import with_results
from diffx_cli.use.tensors import tensor_in
from diffx_cli.use.using import Told, Used
from diffx_core.errors import CheckpointError, ConfigError, DataError

FACTS, LATENTS, NAME = "encode.json", "latents.safetensors", "latents"


@frozen(eq=False)
class Encoded:
    """Latents.

    Args:
        path: as they were given.
        facts: what made them; none if nobody says.
        x: (n, *shape) them, once they have been read.
    """

    path: Path
    facts: dict[str, Any] = field(factory=dict)
    x: Tensor = field(factory=lambda: torch.empty(0), repr=False)

    @classmethod
    def of(cls, path: Path) -> Self:
        """The latents in a folder that diffx encode has written, or in a file; not read yet.

        Raises:
            DataError: there is none, or it does not say what made them.
        """
        if not path.exists():
            raise DataError(f"--latents {path}: is not there")
        if not path.is_dir():
            return cls(path)
        none = f"--latents {path}: has no sound {FACTS}, which diffx encode writes"
        try:
            facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
            Path(facts["run"]), facts["weights"], facts["scheduler"]["name"]
            told = ((facts["labels"], int), (facts["prompts"], str))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(none) from error
        if not all(_each(said, kind) for said, kind in told):
            raise DataError(none)
        return cls(path, facts)

    @property
    def run(self) -> Path | None:
        """The run that made them, if that is known.

        Raises:
            CheckpointError: it is not there any more.
        """
        if not self.facts:
            return None
        run = with_results(Path(self.facts["run"]), self.path)
        if not run.exists():
            raise CheckpointError(
                f"{run}: is not there; name the run that made --latents {self.path}"
            )
        return run

    @property
    def told(self) -> Told:
        """What the model was told."""
        return Told(self.facts.get("labels"), self.facts.get("prompts"))

    def read(self, model: Used) -> Self:
        """The same with the numbers, of a model that can decode them.

        Raises:
            CheckpointError: it is not the one that made them.
            ConfigError: it goes under another process.
            DataError: they cannot be read, or have another shape.
        """
        here = model.facts()
        if self.facts and self.facts["weights"] != here["weights"]:
            raise CheckpointError(
                f"--latents {self.path}: were made by other weights than {model.source} has, those"
                f" of step {self.facts.get('step')} of {self.facts['run']}"
            )
        if self.facts and _process(self.facts) != _process(here):
            raise ConfigError(
                f"--latents {self.path}: were made under scheduler"
                f" {self.facts['scheduler']['name']}, with options of its own: decode them under"
                " the same"
            )
        file = self.path / LATENTS if self.path.is_dir() else self.path
        x = tensor_in(file, NAME, model.pipeline.spec.shape, "--latents")
        told = self.told
        if any(one is not None and len(one) != len(x) for one in (told.labels, told.prompts)):
            raise DataError(f"--latents {self.path}: {FACTS} is of another number than {len(x)}")
        return evolve(self, x=x)


def _each(said: object, kind: type) -> bool:
    """Whether it says nothing, or something of a kind of each."""
    return said is None or (isinstance(said, list) and all(type(one) is kind for one in said))


def _process(facts: dict[str, Any]) -> tuple[Any, Any]:
    return facts["scheduler"]["name"], facts["scheduler"].get("options")
