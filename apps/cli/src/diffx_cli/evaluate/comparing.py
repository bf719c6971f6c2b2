"""From a request to compare to a table and a plot, cell by cell.

A cell is written to the disk once it has been
measured, in a folder that is named after everything that a cell depends on besides, so the same
command goes on where it was ended, and one with more samplers measures only what is new.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from attrs import frozen

from diffx_cli.evaluate.cells import Cell, digest, measured_in
from diffx_cli.evaluate.evaluating import FORMAT, Evaluation, guidance_of
from diffx_cli.evaluate.findings import FOUND, Findings
from diffx_cli.line.console import note
from diffx_cli.line.request import Chosen, Request
from diffx_cli.output.folders import check_free, clear
from diffx_cli.output.place import claimed
from diffx_cli.output.results import results
from diffx_cli.output.writing import writing
from diffx_cli.picture.comparison_figure import draw
from diffx_cli.use.using import saved
from diffx_core.engine.durable import replace_text
from diffx_core.engine.ranks import Ranks
from diffx_core.errors import ConfigError

CELLS = "cells"
PROTOCOL = "protocol.json"
FILE = "comparison.json"
PICTURE = "comparison.png"
UNNAMED = ("ddim", "unipc")
"""Which samplers are compared if nobody says which."""


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
        evaluation = Evaluation.prepare(
            request, (request.components["metric"],), ranks, remember=False
        )
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
        home = results(self.evaluation.model.home, "comparisons")
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
                self._judged(next(one for one in self.cells if one.name == name), None)
            return {}
        with self._claimed() as folder:
            found = {one.name: measured_in(folder / CELLS / one.name) for one in self.cells}
            missing = [one for one in self.cells if not found[one.name] and one.sampler]
            ranks.told(json.dumps([one.name for one in missing]))
            for one in missing:
                found[one.name] = self._judged(one, folder)
                text = json.dumps({**one.facts, **found[one.name]}, indent=2) + "\n"
                replace_text(folder / CELLS / one.name, text)
                shutil.rmtree(folder / FOUND)
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
                clear(folder, (CELLS, FOUND, PROTOCOL, FILE, PICTURE))
            (folder / CELLS).mkdir(exist_ok=True)
            replace_text(there, text)
            yield folder

    def _judged(self, cell: Cell, folder: Path | None) -> dict[str, Any]:
        """Measure a cell, going on with what was found; on the first process, in a folder."""
        options = self.request.options
        assert cell.sampler is not None, "the others have been left out"
        series = self.evaluation.series(cell.sampler, options.n, options.repeats)
        if folder is None:
            return self.evaluation.judged(series, None, cell.title)
        findings = Findings(folder / FOUND / cell.name, series.parts)
        order = json.dumps([cell.facts, options.batch_size], sort_keys=True)
        findings.goes_on({"order": order}, out=None, overwrite=True)
        return self.evaluation.judged(series, findings, cell.title)

    def _listed(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "label": one.chosen.registered.name,
                **one.facts,
                **({"refused": one.refused} if one.refused else found.get(one.name, {})),
            }
            for one in self.cells
        ]
