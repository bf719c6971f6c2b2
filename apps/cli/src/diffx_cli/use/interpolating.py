"""A way between two examples, of a user or of seeds."""

from itertools import chain
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen
from torch import Tensor

from diffx_cli.line.request import Request
from diffx_cli.picture.film import is_picture
from diffx_cli.picture.pictures import grid, picture, to_bytes
from diffx_cli.use.given import Given, Giver
from diffx_cli.use.using import Used, used
from diffx_cli.use.worked import WIDEST, Made, alone, written
from diffx_core.errors import DataError
from diffx_core.pipeline.latent import deterministic

FRAME = 120
"""Milliseconds."""


@frozen(eq=False)
class Interpolating:
    """A way that is about to be gone.

    Args:
        model: the run.
        ends: the examples at both ends; None where they are samples of seeds.
    """

    model: Used
    ends: Given | None = field(default=None)

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run, read the ends, and check that there is a way between them.

        Raises:
            ConfigError: the sampler, the process or the label does not suit the run.
            DataError: there are not two examples, or one is not such as the model's.
        """
        options = request.options
        model = alone(used(request, nfe=options.nfe), request.command.name)
        deterministic(model.method)
        model.pipeline.told(options.n, options.label, options.prompt)
        if options.images is None:
            return cls(model)
        ends = Giver("--images", model.pipeline.spec, options.fit).examples(options.images)
        if len(ends) != 2:
            raise DataError(f"--images: a way leads between 2 examples, and {len(ends)} are given")
        return cls(model, ends)

    def facts(self) -> dict[str, Any]:
        """What reproduces the results, as plain JSON types."""
        options = self.model.request.options
        return {
            **self.model.facts(),
            "n": options.n,
            "images": None if self.ends is None else list(self.ends.names),
            "fit": options.fit,
            "seeds": options.seeds,
            "label": options.label,
            "prompt": options.prompt,
        }

    def write(self) -> tuple[Path, dict[str, Any]]:
        """Go the way and write it; returns the file to look at, and what reproduces it."""
        label = self.model.request.components["sampler"].registered.name
        return written(self.model, label, ("way.gif",), self.facts(), self._made)

    def _made(self) -> Made:
        options = self.model.request.options
        first, last = options.seeds or (options.seed, None)
        way = self.model.pipeline.interpolate(
            options.n,
            between=None if self.ends is None else self.ends.x,
            sampler=self.model.method,
            label=options.label,
            prompt=options.prompt,
            seed=first,
            last_seed=last,
        )
        facts: dict[str, Any] = {}
        if self.ends is not None:
            facts["off"] = float((way[[0, -1]] - self.ends.x.to(way)).abs().max())
        columns = min(WIDEST, options.n)
        return Made(way, more=lambda folder: self._film(folder, way), facts=facts, columns=columns)

    def _film(self, folder: Path, way: Tensor) -> None:
        """The way and back, over and over, if it is of images."""
        spec = self.model.pipeline.spec
        if not is_picture(spec):
            return
        frames = [picture(grid(one[None], 1)) for one in to_bytes(way.cpu().float(), spec)]
        others = list(chain(frames[1:], frames[-2:0:-1]))
        frames[0].save(
            folder / "way.gif", save_all=True, append_images=others, duration=FRAME, loop=0
        )
