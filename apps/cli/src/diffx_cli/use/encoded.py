"""The latents that `diffx encode` writes, and what made them, which their decoding has to suit."""

import json
from pathlib import Path
from typing import Any, Self

import torch
from attrs import evolve, field, frozen
from torch import Tensor

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
            DataError: the folder has none, or does not say what made them.
        """
        if not path.is_dir():
            return cls(path)
        try:
            facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
            Path(facts["run"]), facts["weights"], facts["scheduler"]["name"]
            return cls(path, facts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"--latents {path}: has no sound {FACTS}, which diffx encode writes"
            ) from error

    @property
    def run(self) -> Path | None:
        """The run that made them, if that is known."""
        return Path(self.facts["run"]) if self.facts else None

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
                f" of step {self.facts.get('step')} of {self.run}"
            )
        if self.facts and _process(self.facts) != _process(here):
            raise ConfigError(
                f"--latents {self.path}: were made under scheduler"
                f" {self.facts['scheduler']['name']}, with options of its own: decode them under"
                " the same"
            )
        file = self.path / LATENTS if self.path.is_dir() else self.path
        return evolve(self, x=tensor_in(file, NAME, model.pipeline.spec.shape, "--latents"))


def _process(facts: dict[str, Any]) -> tuple[Any, Any]:
    return facts["scheduler"]["name"], facts["scheduler"].get("options")
