"""Work in parts that is kept as it is done, so that it goes on after it was ended.

    FOLDER/HIDDEN/plan.json          what is done, and how
                  parts/000003.json  of a part that is whole
                  parts/000003.safetensors  its numbers, where there are any

A part is whole when its JSON is there, which is written last. What ends the process, be it at any
instant, costs the parts that are being done.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffx_cli.line.console import note
from diffx_cli.output.claims import is_claimed
from diffx_cli.output.folders import check_free
from diffx_cli.processes.parts import Parts
from diffx_core.engine.durable import replace_text
from diffx_core.errors import ConfigError, DataError

PARTS = "parts"


@frozen
class Kept:
    """What has been done so far.

    Args:
        folder: the hidden one, in that of the results.
        parts: of the whole.
    """

    folder: Path
    parts: Parts

    def plan(self) -> dict[str, Any] | None:
        """What is being done; None if nothing is."""
        return plan_in(self.folder)

    def begin(self, plan: dict[str, Any]) -> None:
        """Begin with nothing.

        Args:
            plan: what is done, as plain JSON types.
        """
        self.discard()
        try:
            (self.folder / PARTS).mkdir(parents=True)
            replace_text(self.folder / "plan.json", json.dumps(plan))
        except BaseException:
            self.discard()
            raise

    def goes_on(self, plan: dict[str, Any], *, out: Path | None, overwrite: bool) -> dict[str, Any]:
        """Go on with the same work, or begin it; returns the plan by which it was begun.

        Args:
            plan: what is done; `order` has all that the results depend on.
            out: the folder that the user named, if any.
            overwrite: whether other work that was begun there may be discarded.

        Raises:
            ConfigError: there is other work, or something else, and it may not be.
        """
        found, home = self.plan(), self.folder.parent
        if found is not None and found.get("order") == plan["order"]:
            note(f"{home}: goes on after {self.done} of {self.parts.n} samples")
            return found
        if found is not None and not overwrite:
            raise ConfigError(
                f"{home}: holds samples that another command began, or another checkpoint: repeat"
                " that command, or discard them with --overwrite"
            )
        self.discard()
        check_free(out, overwrite=overwrite, ours=True)
        self.begin(plan)
        return plan

    def leave(self) -> None:
        """Keep what has been done for the same command, if that is a part and there are several."""
        if not self.done or len(self.parts) == 1:
            self.discard()
            return
        home = self.folder.parent
        note(f"{home}: keeps {self.done} of {self.parts.n} samples; the same command goes on")

    def discard(self) -> None:
        """Forget all that has been done."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def missing(self) -> list[int]:
        """The parts that have not been done."""
        return [i for i in range(len(self.parts)) if not self.record(i).exists()]

    @property
    def done(self) -> int:
        """How many of all things have been done."""
        return self.parts.n - self.parts.count(self.missing())

    def keep(self, part: int, facts: dict[str, Any], numbers: Mapping[str, Tensor]) -> None:
        """Write that a part is whole.

        Args:
            part: which.
            facts: about it, as plain JSON types.
            numbers: what there is of it besides, if anything.
        """
        if numbers:
            rows = {name: one.contiguous() for name, one in numbers.items()}
            save_file(rows, self._numbers(part))
        replace_text(self.record(part), json.dumps(facts))

    def numbers(self, part: int) -> dict[str, Tensor]:
        """The numbers of a part.

        Raises:
            DataError: they are damaged, by a loss of power or by hand; the part is done again.
        """
        file = self._numbers(part)
        try:
            return load_file(file)
        except (OSError, SafetensorError) as error:
            self.record(part).unlink(missing_ok=True)
            raise DataError(
                f"{file}: is damaged: repeat the command, and this part is done again"
            ) from error

    def record(self, part: int) -> Path:
        """The file that is there once a part is whole."""
        return self.folder / PARTS / f"{part:06d}.json"

    def _numbers(self, part: int) -> Path:
        return self.record(part).with_suffix(".safetensors")


def has_begun(folder: Path | None, hidden: str) -> bool:
    """Whether work is being done in a folder, or was when that was ended."""
    return folder is not None and os.path.isdir(folder / hidden)  # noqa: PTH112 - never raises


def plan_in(folder: Path) -> dict[str, Any] | None:
    """What is being done in a hidden folder; None if nothing is."""
    try:
        found: dict[str, Any] = json.loads((folder / "plan.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found


def unfinished(parent: Path, hidden: str, order: str) -> Path | None:
    """The numbered folder in which the same work was begun and nobody is at work."""
    for one in sorted(parent.glob(f"*/{hidden}")):
        plan = plan_in(one) or {}
        if plan.get("order") == order and not is_claimed(one.parent):
            return one.parent
    return None
