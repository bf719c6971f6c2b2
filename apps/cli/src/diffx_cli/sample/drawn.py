"""Samples that are kept as they are drawn, beside what they become for the user.

FOLDER/.drawn/parts/  of each batch, how often the network was called, and its numbers if wanted
final/  what FOLDER will hold
whole   once all of that is there
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from torch import Tensor

from diffx_cli.output.folders import clear
from diffx_cli.output.kept import Kept
from diffx_cli.output.place import Place

KEPT = ".drawn"
NUMBERS = "samples"
"""Name of the tensor in a file of samples."""


@frozen
class Drawn(Kept):
    """What has been drawn so far."""

    @property
    def final(self) -> Path:
        """Where to write what is for the user."""
        return self.folder / "final"

    @property
    def is_whole(self) -> bool:
        """Whether all that is for the user has been written."""
        return (self.folder / "whole").exists()

    def begin(self, plan: dict[str, Any]) -> None:
        """Begin with nothing, and a place for what is for the user."""
        super().begin(plan)
        self.final.mkdir()

    def calls(self) -> int:
        """How often the network was called for the batch that took most."""
        records = (self.record(i).read_text("utf-8") for i in range(len(self.parts)))
        return max(int(json.loads(record)["calls"]) for record in records)

    def samples(self) -> Iterator[Tensor]:
        """The samples of each batch."""
        for i in range(len(self.parts)):
            yield self.numbers(i)[NUMBERS]

    def publish(self, place: Place) -> None:
        """Move what is for the user to where it belongs; if that is interrupted, it can go on.

        Args:
            place: the folder.
        """
        if not self.is_whole:
            if place.overwrite:
                clear(place.folder, place.names)
            (self.folder / "whole").touch()
        evolve(place, overwrite=False).publish(self.final)
        self.discard()
