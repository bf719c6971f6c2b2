"""Samples that are kept as they are drawn, so that drawing goes on after it was ended.

    FOLDER/.drawn/plan.json             what is drawn, and how
                  batches/000003.json   of a batch that is whole: how often the network was called
                  batches/000003.safetensors  its numbers, where they are wanted
                  final/                what FOLDER will hold
                  whole                 once all of that is there

A batch is whole when its JSON is there, which is written last. What ends the process, be it at any
instant, costs the batches that are being drawn.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffx_cli.output.folders import clear
from diffx_cli.output.place import Place
from diffx_core.engine.durable import replace_text

KEPT = ".drawn"
NUMBERS = "samples"
"""Name of the tensor in a file of samples."""


@frozen
class Drawn:
    """What has been drawn so far.

    Args:
        folder: where it is.
        batches: how many there will be.
    """

    folder: Path
    batches: int

    @property
    def final(self) -> Path:
        """Where to write what is for the user."""
        return self.folder / "final"

    @property
    def is_whole(self) -> bool:
        """Whether all that is for the user has been written."""
        return (self.folder / "whole").exists()

    def plan(self) -> dict[str, Any] | None:
        """What is being drawn; None if nothing is."""
        return plan_in(self.folder)

    def begin(self, plan: dict[str, Any]) -> None:
        """Begin with nothing.

        Args:
            plan: what is drawn, as plain JSON types.
        """
        self.discard()
        try:
            self.final.mkdir(parents=True)
            (self.folder / "batches").mkdir()
            replace_text(self.folder / "plan.json", json.dumps(plan))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Forget all that has been drawn."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def missing(self) -> list[int]:
        """The batches that have not been drawn."""
        return [i for i in range(self.batches) if not self._record(i).exists()]

    def keep(self, batch: int, calls: int, x: Tensor | None) -> None:
        """Write that a batch is whole.

        Args:
            batch: which.
            calls: how often the network was called.
            x: (n, *shape) its samples, if their numbers are wanted.
        """
        if x is not None:
            save_file({NUMBERS: x.contiguous()}, self._numbers(batch))
        replace_text(self._record(batch), json.dumps({"calls": calls}))

    def calls(self) -> int:
        """How often the network was called for the batch that took most."""
        records = (self._record(i).read_text("utf-8") for i in range(self.batches))
        return max(int(json.loads(record)["calls"]) for record in records)

    def numbers(self) -> Iterator[Tensor]:
        """The samples of each batch."""
        for i in range(self.batches):
            yield load_file(self._numbers(i))[NUMBERS]

    def publish(self, place: Place) -> None:
        """Move what is for the user to where it belongs; if that is interrupted, it can go on.

        Args:
            place: the folder.
        """
        if not self.is_whole:
            if place.overwrite:
                clear(place.folder, place.names)
            if self.batches > 1:
                (self.folder / "whole").touch()
        evolve(place, overwrite=False).publish(self.final)
        self.discard()

    def _record(self, batch: int) -> Path:
        return self.folder / "batches" / f"{batch:06d}.json"

    def _numbers(self, batch: int) -> Path:
        return self._record(batch).with_suffix(".safetensors")


def has_begun(folder: Path | None) -> bool:
    """Whether samples are being drawn for a folder, or were when that was ended."""
    return folder is not None and os.path.isdir(folder / KEPT)  # noqa: PTH112 - never raises


def plan_in(folder: Path) -> dict[str, Any] | None:
    """What is being drawn in a folder; None if nothing is."""
    try:
        found: dict[str, Any] = json.loads((folder / "plan.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found
