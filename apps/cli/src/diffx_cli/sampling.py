"""From a request to sample to pictures."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from attrs import asdict, field, frozen
from torch import Tensor

from diffx_cli.beside import beside
from diffx_cli.film import Film, is_picture
from diffx_cli.pictures import write_samples
from diffx_cli.refusals import check_interval
from diffx_cli.request import Request
from diffx_cli.using import Told, Used, used
from diffx_cli.writing import writing
from diffx_core.config.run import plain
from diffx_core.engine.ranks import Ranks, share_of
from diffx_core.errors import ConfigError
from diffx_core.pipeline import Drawing
from diffx_core.reached import Reached

WRITTEN = ("grid.png", "images", "progress.gif", "sample.json", "samples.safetensors")
"""What a folder of samples holds that diffx wrote."""

ALONE = Ranks()

MOST_COLUMNS = 20
"""Of a grid with one column for each class; with more classes it is about square."""


@frozen(eq=False)
class Sampling:
    """Samples that are about to be drawn.

    Args:
        model: the run.
        drawing: the samples.
        told: what the model is told of them.
    """

    model: Used
    drawing: Drawing
    told: Told
    _calls: list[int] = field(factory=lambda: [0], init=False, repr=False)

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run and check that it can be sampled as it was asked.

        Raises:
            ConfigError: the sampler, the process, the guidance or the labels do not suit the run.
            CheckpointError: there is no such run.
        """
        options = request.options
        model = used(request, nfe=options.nfe)
        pipeline, sampler = model.pipeline, model.sampler
        assert sampler is not None, "the command has one by default"
        if options.gif and not is_picture(pipeline.spec):
            raise ConfigError("--gif: shows images, and this model makes none")
        if options.gif and sampler.steps == 1:
            raise ConfigError(
                f"--gif: shows every step, and {request.components['sampler'].label} makes one: say"
                " how many with --steps"
            )
        told = model.told(options.n)
        drawing = pipeline.drawing(
            options.n,
            sampler=sampler,
            guidance=request.sections["guidance"],
            label=told.labels,
            prompt=told.prompts,
            image=beside(options.beside, options.n, pipeline.spec),
            seed=options.seed,
        )
        check_interval(request.sections["guidance"], drawing)
        return cls(model, drawing, told)

    def facts(self) -> dict[str, Any]:
        """What reproduces the samples, as plain JSON types."""
        request, method = self.model.request, self.drawing.sampler
        return {
            **self.model.facts(),
            "nfe": method.nfe or self._calls[0] or None,
            "guidance": plain(asdict(request.sections["guidance"])),
            "labels": self.told.labels,
            "prompts": self.told.prompts,
            "beside": plain(request.options.beside),
            "n": request.options.n,
        }

    def help(self, ranks: Ranks) -> None:
        """Draw this process's share of the samples, which another one writes."""
        self._drawn(ranks)

    def write(self, ranks: Ranks = ALONE) -> Path:
        """Draw the samples and write them; returns the file to look at.

        Args:
            ranks: the processes that share the work, of which this is the first.
        """
        request, spec = self.model.request, self.model.pipeline.spec
        options = request.options
        columns = _columns(options.n, self.told.labels or self.told.prompts)
        film = Film(self.drawing, spec, columns) if options.gif else None

        def observe(reached: Reached) -> None:
            self._calls[0] = max(self._calls[0], reached.calls)  # of the batch that took most
            if film is not None:
                film(reached)

        name = request.components["sampler"].registered.name
        with self.model.place("samples", name, WRITTEN) as place:
            with self.model.blaming():
                samples = self._drawn(ranks, observe)
            with writing(place.folder):
                text = json.dumps(self.facts(), indent=2) + "\n"
                (place.partial / "sample.json").write_text(text, encoding="utf-8")
                if film is not None:
                    film.write(place.partial / "progress.gif")
                file = write_samples(place.partial, samples, spec, self.told.labels, columns)
                place.publish()
        return place.folder / file.name

    def _drawn(self, ranks: Ranks, observe: Callable[[Reached], None] | None = None) -> Tensor:
        """All samples, of which this process draws its share."""
        ranks.same("samples to draw", json.dumps(self.facts(), sort_keys=True))
        share = share_of(self.drawing.n, ranks)
        return ranks.joined(self.drawing.samples(observe=observe, share=share))


def _columns(n: int, told: Sequence[int | str] | None) -> int:
    different = len(set(told or ()))
    if 1 < different <= MOST_COLUMNS:
        return different
    return min(MOST_COLUMNS, max(1, round(math.sqrt(n))))
