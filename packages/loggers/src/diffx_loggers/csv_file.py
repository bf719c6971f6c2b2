"""A table that every program reads: `metrics.csv`, one row for each step that is logged.

    step,loss,lr,grad_norm,validation/loss
    10,0.91,0.0001,1.2,
    20,0.85,0.0001,1.1,0.88

A figure with a new name gives the table a new column, which is empty in the rows before. What is
logged of a step in several goes is one row.
"""

import csv
import io
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from torch import Tensor

from diffx_core import Logger

FILE = "metrics.csv"

Row = dict[str, str]

log = logging.getLogger(__name__)


@define(kw_only=True)
class CsvFile(Logger):
    """A table of figures, `metrics.csv` in the folder of the run. Images are left to others.

    A row that cannot be written is lost, and said once; later ones are written again.
    """

    _path: Path = field(init=False, default=Path(FILE))
    _names: list[str] = field(init=False, factory=lambda: ["step"])
    _last: int | None = field(init=False, default=None)
    _is_full: bool = field(init=False, default=False)

    def start(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        """Keep the rows up to the step of a table that is there already."""
        del config  # a table has no place for it
        self._path = folder / FILE
        rows = [row for row in self._rows() if _step(row) <= step]
        self._names = [*dict.fromkeys(["step", *(name for row in rows for name in row)])]
        self._rewrite(rows)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row, or more figures to the last one."""
        row = {"step": str(step), **{name: str(value) for name, value in values.items()}}
        new = [name for name in row if name not in self._names]
        self._names += new
        try:
            if new or self._is_full or step == self._last or not self._path.exists():
                rows = self._rows()
                more = rows.pop() if rows and _step(rows[-1]) == step else {}
                self._rewrite([*rows, more | row])
            else:
                self._append(row)
        except OSError as error:
            if not self._is_full:
                log.warning("%s: %s; rows are lost until there is room", self._path, error.strerror)
            self._is_full = True
        else:
            self._last, self._is_full = step, False

    def images(self, step: int, images: Tensor) -> None:
        """Nothing: a table has no place for them."""

    def finish(self, status: str) -> None:
        """Nothing: every row is in the file as soon as it is logged."""

    def _rows(self) -> list[Row]:
        """The rows of the file; a last one that was cut off by a crash is none."""
        if not self._path.exists():
            return []
        text = self._path.read_text("utf-8")
        return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))

    def _append(self, row: Row) -> None:
        """Add a row, all of it or nothing."""
        text = io.StringIO()
        csv.DictWriter(text, self._names, lineterminator="\n").writerow(row)
        rest = memoryview(text.getvalue().encode("utf-8"))
        with self._path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(before)
                raise

    def _rewrite(self, rows: Iterable[Row]) -> None:
        partial = self._path.with_name(f".{FILE}-{os.getpid()}")
        try:
            with partial.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, self._names, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            partial.replace(self._path)
        finally:
            partial.unlink(missing_ok=True)


def _step(row: Row) -> int:
    return int(row["step"])
