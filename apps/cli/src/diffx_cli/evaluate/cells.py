"""What is compared: samplers with numbers of network calls, and what was measured of each."""

import hashlib
import json
from pathlib import Path
from typing import Any, Self

from attrs import asdict, frozen

from diffx_cli.line.request import Chosen
from diffx_cli.use.using import saved
from diffx_core.errors import ConfigError, DataError
from diffx_core.sampler import Sampler


@frozen(eq=False)
class Cell:
    """A sampler with a number of network calls.

    Args:
        chosen: the sampler as it was named.
        nfe: how often it calls the network.
        sampler: it, with that many calls; None if it cannot make so many.
        refused: why it cannot.
    """

    chosen: Chosen
    nfe: int
    sampler: Sampler[Any] | None
    refused: str = ""

    @classmethod
    def of(cls, chosen: Chosen, nfe: int) -> Self:
        """The cell, if there is one."""
        try:
            return cls(chosen, nfe, chosen.build().with_nfe(nfe))
        except ConfigError as error:
            return cls(chosen, nfe, None, error.problems[0])

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.chosen.registered.name} {self.nfe}"

    @property
    def facts(self) -> dict[str, Any]:
        """Which cell it is, as plain JSON types."""
        one = self.chosen
        options = one.options if self.sampler is None else asdict(self.sampler)
        return {"sampler": saved(one.registered, options), "nfe": self.nfe}

    @property
    def name(self) -> str:
        """Of its file."""
        key = digest(self.facts)[:8]
        return f"{self.chosen.registered.name}-{self.nfe}-{key}.json"


def digest(facts: dict[str, Any]) -> str:
    """What tells facts from others."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def measured_in(file: Path) -> dict[str, Any]:
    """What was measured earlier of a cell; empty if nothing was."""
    try:
        facts = json.loads(file.read_text("utf-8"))
        return {name: facts[name] for name in ("figures", "label_accuracy")}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: is damaged: remove it, and it is measured again") from error
