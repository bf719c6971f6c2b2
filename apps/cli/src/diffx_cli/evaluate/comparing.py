"""From a request to compare to a table and a plot, cell by cell.

A cell is a sampler with a number of network calls. It is written to the disk once it has been
measured, in a folder that is named after everything that a cell depends on besides, so the same
command goes on where it was ended, and one with more samplers measures only what is new.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from attrs import asdict, frozen

from diffx_cli.evaluate.evaluating import FORMAT, Evaluation, guidance_of
from diffx_cli.line.console import note
from diffx_cli.line.layout import columns
from diffx_cli.line.request import Chosen, Request
from diffx_cli.output.folders import check_free, clear
from diffx_cli.output.place import claimed
from diffx_cli.output.writing import writing
from diffx_cli.picture.comparison_figure import draw
from diffx_cli.use.using import saved
from diffx_core.engine.durable import replace_text
from diffx_core.engine.ranks import Ranks
from diffx_core.errors import ConfigError, DataError
from diffx_core.sampler import Sampler

CELLS = "cells"
PROTOCOL = "protocol.json"
FILE = "comparison.json"
PICTURE = "comparison.png"
UNNAMED = ("ddim", "unipc")
"""Which samplers are compared if nobody says which."""


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


@frozen(eq=False)
class Comparison:
    """Cells that are about to be measured.

    Args:
        request: what was asked for.
        evaluation: of the run.
        cells: all of them.
    """

    request: Request
    evaluation: Evaluation
    cells: tuple[Cell, ...]

    @classmethod
    def prepare(cls, request: Request, ranks: Ranks) -> Self:
        """Load the run and the real data, and see whether every sampler suits the run.

        Raises:
            DiffxError: something does not suit.
        """
        options = request.options
        chosen = request.listed.get("sampler") or tuple(
            Chosen.by_default(request.registry.find("sampler", name)) for name in UNNAMED
        )
        cells = tuple(Cell.of(one, nfe) for one in chosen for nfe in options.nfe)
        possible = [one for one in cells if one.sampler is not None]
        if not possible:
            raise ConfigError(*dict.fromkeys(f"--nfe: {one.title}: {one.refused}" for one in cells))
        evaluation = Evaluation.prepare(request, (request.components["metric"],), ranks)
        evaluation.judge.require(options.n)
        for one in possible:
            assert one.sampler is not None, "the others have been left out"
            try:
                evaluation.series(one.sampler, options.n, options.repeats)
            except ConfigError as error:
                lines = (f"sampler {one.title}: {line}" for line in error.problems)
                raise ConfigError(*lines) from error
        return cls(request, evaluation, cells)

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """All that a cell depends on besides the sampler, as plain JSON types."""
        options, facts = self.request.options, self.evaluation.facts()
        metric = self.request.components["metric"]
        return {
            **{name: one for name, one in facts.items() if name not in ("run", "sampler")},
            "metric": saved(metric.registered, metric.options),
            "guidance": guidance_of(self.request),
            "n": options.n,
            "repeats": options.repeats,
        }

    @property
    def folder(self) -> Path:
        """Where the cells are."""
        home = self.evaluation.model.home / "comparisons"
        out: Path | None = self.request.options.out
        return out or home / digest(self.protocol)[:12]

    def facts(self) -> dict[str, Any]:
        """What is compared, as plain JSON types."""
        run = str(self.evaluation.model.source)
        return {"format": FORMAT, "run": run, **self.protocol, "cells": self._listed({})}

    def measured(self) -> dict[str, Any]:
        """Every cell, those that are there already and those that are measured now.

        Raises:
            ConfigError: the folder holds something else, or cannot be written to.
        """
        ranks = self.evaluation.ranks
        if not ranks.is_first:
            for name in json.loads(ranks.told("")):
                self._judged(next(one for one in self.cells if one.name == name))
            return {}
        with self._claimed() as folder:
            found = {one.name: self._read(folder / CELLS / one.name) for one in self.cells}
            missing = [one for one in self.cells if not found[one.name] and one.sampler]
            ranks.told(json.dumps([one.name for one in missing]))
            for one in missing:
                found[one.name] = self._judged(one)
                text = json.dumps({**one.facts, **found[one.name]}, indent=2) + "\n"
                replace_text(folder / CELLS / one.name, text)
            for one in self.cells:
                if one.sampler is None:
                    note(f"{one.title} is left out: {one.refused}")
        return {**self.facts(), "cells": self._listed(found)}

    def write(self, facts: dict[str, Any]) -> Path:
        """Write the table and the plot; returns the folder."""
        folder = self.folder
        with writing(folder):
            picture = folder / f".{PICTURE}"
            draw(facts).savefig(picture, dpi=110, format="png")
            picture.replace(folder / PICTURE)
            replace_text(folder / FILE, json.dumps(facts, indent=2) + "\n")
        return folder

    @contextmanager
    def _claimed(self) -> Iterator[Path]:
        """The folder, with cells of this protocol alone."""
        folder, options = self.folder, self.request.options
        text = json.dumps(self.protocol, indent=2) + "\n"
        there = folder / PROTOCOL
        same = there.is_file() and there.read_text("utf-8") == text
        if not same:
            check_free(folder, overwrite=options.overwrite)
        where = folder, folder, "", ()
        with claimed(*where, overwrite=options.overwrite, again=True), writing(folder):
            if not same:
                clear(folder, (CELLS, PROTOCOL, FILE, PICTURE))
            (folder / CELLS).mkdir(exist_ok=True)
            replace_text(there, text)
            yield folder

    def _judged(self, cell: Cell) -> dict[str, Any]:
        options = self.request.options
        assert cell.sampler is not None, "the others have been left out"
        series = self.evaluation.series(cell.sampler, options.n, options.repeats)
        return self.evaluation.judged(series, cell.title)

    def _listed(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "label": one.chosen.registered.name,
                **one.facts,
                **({"refused": one.refused} if one.refused else found.get(one.name, {})),
            }
            for one in self.cells
        ]

    def _read(self, file: Path) -> dict[str, Any]:
        """A cell that was measured earlier; empty if it was not."""
        try:
            facts = json.loads(file.read_text("utf-8"))
            return {name: facts[name] for name in ("figures", "label_accuracy")}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file}: is damaged: remove it, and it is measured again") from error


def digest(facts: dict[str, Any]) -> str:
    """What tells facts from others."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def table(facts: dict[str, Any]) -> str:
    """Every figure by sampler and network calls, for people."""
    cells = {(one["label"], one["nfe"]): one for one in facts["cells"]}
    labels, calls = (list(dict.fromkeys(column)) for column in zip(*cells, strict=True))
    known = next(one for one in facts["cells"] if "figures" in one)["figures"]
    blocks = []
    for place, figure in enumerate(known):
        better = "lower" if figure["lower_is_better"] else "higher"
        bounds = f"real data {figure['floor']['mean']:.4g}, noise {figure['ceiling']['mean']:.4g}"
        head = f"{figure['name']}, {better} is better; {bounds}"
        rows = [(label, *(_shown(cells[label, nfe], place) for nfe in calls)) for label in labels]
        lines = columns([("SAMPLER", *(f"NFE {nfe}" for nfe in calls)), *rows], indent=0)
        blocks.append("\n".join([head, "", *lines]))
    return "\n\n".join(blocks)


def _shown(cell: dict[str, Any], place: int) -> str:
    if "figures" not in cell:
        return "-"
    one = cell["figures"][place]
    return f"{one['mean']:.4g}" + ("" if one["spread"] is None else f" +- {one['spread']:.2g}")
