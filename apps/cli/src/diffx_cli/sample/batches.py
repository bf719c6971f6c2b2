"""Samples in batches, of which each is drawn by one process and written when it is there."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from attrs import evolve, frozen

from diffx_cli.output.writing import writing
from diffx_cli.picture.film import Film, is_picture
from diffx_cli.picture.pictures import to_bytes, write_images
from diffx_cli.picture.scatter_film import ScatterFilm
from diffx_cli.processes.parts import Parts
from diffx_cli.sample.beside import beside
from diffx_cli.sample.drawn import NUMBERS, Drawn
from diffx_cli.use.using import Told, Used
from diffx_core.dataset import DataSpec
from diffx_core.engine.ranks import Ranks
from diffx_core.pipeline import Drawing
from diffx_core.reached import Reached

MOST_COLUMNS = 20
"""Of a grid with one column for each class; with more classes it is about square."""


@frozen(eq=False)
class Batches:
    """All samples of a request.

    Args:
        model: the run.
        drawing: the first batch.
        told: what the model is told of all samples.
    """

    model: Used
    drawing: Drawing
    told: Told

    @property
    def parts(self) -> Parts:
        """The batches."""
        return Parts(self.n, self.drawing.n)

    @property
    def n(self) -> int:
        """How many samples there are."""
        return int(self.model.request.options.n)

    @property
    def spec(self) -> DataSpec:
        """The facts about the data."""
        return self.model.pipeline.spec

    @property
    def columns(self) -> int:
        """Of a grid."""
        different = len(set(self.told.labels or self.told.prompts or ()))
        if 1 < different <= MOST_COLUMNS:
            return different
        return min(MOST_COLUMNS, max(1, round(math.sqrt(self.n))))

    def file_of(self, sample: int) -> str:
        """The name of an image."""
        return f"{sample:0{max(5, len(str(self.n - 1)))}d}.png"

    def draw(self, todo: Sequence[int], drawn: Drawn, threads: int, ranks: Ranks) -> None:
        """Draw batches, each by one process, and keep them.

        Args:
            todo: which are to be drawn.
            drawn: where they are kept.
            threads: of each process.
            ranks: the processes.
        """

        def draw(batch: int, advanced: Callable[[float], None]) -> None:
            with self.model.blaming(), writing(drawn.folder.parent):
                self._draw(batch, drawn, advanced)

        with computing_by(threads):
            self.parts.work(todo, ranks, draw)

    def _draw(self, batch: int, drawn: Drawn, advanced: Callable[[float], None]) -> None:
        """Draw a batch and keep it."""
        options, drawing = self.model.request.options, self._drawing(batch)
        film = None
        if options.trajectory and batch == 0:
            film = self._film(drawing)
        calls, steps = 0, drawing.plan.steps

        def observe(reached: Reached) -> None:
            nonlocal calls
            calls = reached.calls
            advanced(reached.step / steps)
            if film is not None:
                film(reached)

        x = drawing.samples(drawing.n, observe).float()
        if film is not None:
            film.write(drawn.final)
        if is_picture(self.spec):
            names = map(self.file_of, self.parts.rows(batch))
            write_images(drawn.final / "images", to_bytes(x, self.spec), names)
        wanted = not is_picture(self.spec) or "safetensors" in options.export
        drawn.keep(batch, {"calls": calls}, {NUMBERS: x} if wanted else {})

    def _film(self, drawing: Drawing) -> Film:
        how = drawing, self.spec, self.columns, self.model.request.options.every
        if is_picture(self.spec):
            return Film(*how)
        return ScatterFilm(*how, labels=self.told.of(self.parts.rows(0)).labels)

    def _drawing(self, batch: int) -> Drawing:
        rows, options = self.parts.rows(batch), self.model.request.options
        told = self.told.of(rows)
        image = beside(options.beside, rows, self.spec)
        cond = self.model.pipeline.told(len(rows), told.labels, told.prompts, image)
        return evolve(self.drawing, cond=cond, n=len(rows), first=rows.start)


def threads_of() -> int:
    """How many threads this process computes by."""
    return torch.get_num_threads()


@contextmanager
def computing_by(threads: int) -> Iterator[None]:
    """So many threads: on a processor the last digits depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
