"""How probable a model finds examples: those of a user, or of its own data."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from attrs import frozen
from torch import Tensor

from diffx_cli.line.advance import Advance
from diffx_cli.line.request import Request
from diffx_cli.output.place import Place
from diffx_cli.output.writing import writing
from diffx_cli.use.given import Giver
from diffx_cli.use.own_data import Own
from diffx_cli.use.using import Told, Used, used
from diffx_cli.use.worked import alone, told_if_said, write_facts
from diffx_core.dataset import DataSpec
from diffx_core.errors import DataError
from diffx_core.likelihood import Likelihood

BITS, NATS = "bits/dim", "nats/dim"
FACTS, TABLE = "likelihood.json", "likelihood.csv"
MOST = 128
"""Examples of its own data, unless told otherwise."""
ROUNDING = 1e-3
"""Of a cell, by which a value may be off its level."""


@frozen(eq=False)
class Probability:
    """Examples of which the likelihood is about to be computed.

    Args:
        model: the run.
        x: (n, *shape) the examples.
        names: of them.
        split: of what they are; None if a user gave them.
        told: what the model is told of them.
    """

    model: Used
    x: Tensor
    names: tuple[str, ...]
    split: str | None
    told: Told

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run and read the examples.

        Raises:
            ConfigError: the process or the labels do not suit the run.
            DataError: an example cannot be read, or is not such as the model's.
        """
        options = request.options
        model = alone(used(request), request.command.name)
        spec = model.pipeline.spec
        if options.images is not None:
            given = Giver("--images", spec, options.fit).examples(options.images)
            _require_levels(given.x, spec)
            told = told_if_said(model, len(given))
            return cls(model, given.x, given.names, None, told)
        own = Own.of(model, options.n, options.split, options.seed, most=MOST)
        told = told_if_said(model, len(own.index))
        if options.own_labels:
            told = Told(own.told, told.prompts)
        names = tuple(map(str, own.index.tolist()))
        return cls(model, own.x, names, own.split, told)

    @property
    def method(self) -> Likelihood:
        """How it is computed."""
        options = self.model.request.options
        return Likelihood(steps=options.steps, trace=options.trace)

    @property
    def unit(self) -> str:
        """Bits where the data come in levels; else nats of the density."""
        return NATS if self.model.pipeline.spec.levels is None else BITS

    def facts(self) -> dict[str, Any]:
        """What reproduces the result, as plain JSON types."""
        options = self.model.request.options
        return {
            **self.model.facts(),
            "unit": self.unit,
            "n": len(self.x),
            "split": self.split,
            "images": list(self.names) if self.split is None else None,
            "fit": options.fit,
            "labels": self.told.labels,
            "prompts": self.told.prompts,
            "trace": self.method.trace,
            "nfe": self.method.nfe,
        }

    def write(self) -> tuple[Path, dict[str, Any]]:
        """Compute and write; returns the table of all examples, and what reproduces it."""
        with self.model.place("likelihood", self.method.trace, (FACTS, TABLE)) as place:
            with self.model.blaming():
                each = self._each()
            spread = float(each.std() / math.sqrt(len(each))) if len(each) > 1 else None
            facts = {**self.facts(), "mean": float(each.mean()), "stderr": spread}
            with writing(place.folder):
                write_facts(place, "likelihood", facts)
                self._table(place, each)
                place.publish()
        return place.folder / TABLE, facts

    def _each(self) -> Tensor:
        """(n,) of each example, in the unit."""
        options, pipeline = self.model.request.options, self.model.pipeline
        how: dict[str, Any] = {
            "method": self.method,
            "label": self.told.labels,
            "prompt": self.told.prompts,
            "seed": options.seed,
            "batch_size": options.batch_size,
        }
        several = len(self.x) > options.batch_size
        advance = Advance(len(self.x), 0, several, title="likelihood", unit="example")
        with advance.shown():
            if self.unit == BITS:
                return pipeline.bits_per_dim(self.x, observe=advance.reached, **how).double()
            found = pipeline.log_likelihood(self.x, observe=advance.reached, **how)
        return -found.total.double() / found.dimensions

    def _table(self, place: Place, each: Tensor) -> None:
        labels: Sequence[int | None] = self.told.labels or [None] * len(self.names)
        with (place.partial / TABLE).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["example", "label", self.unit])
            rows.writerows(zip(self.names, labels, each.tolist(), strict=True))


def _require_levels(x: Tensor, spec: DataSpec) -> None:
    """Refuse values that have no probability, since the data never have them."""
    if spec.cell is None or spec.value_range is None:
        return
    levels = (x.double() - spec.value_range[0]) / spec.cell
    if float((levels - levels.round()).abs().max()) > ROUNDING:
        raise DataError(
            f"--images: have values that are none of the {spec.levels} levels of the model's data,"
            " and so no probability"
        )
