"""SDEdit of images that a user gives."""

from pathlib import Path
from typing import Any, Self

from attrs import asdict, evolve, frozen

from diffx_cli.line.request import Request
from diffx_cli.sample.refusals import check_interval
from diffx_cli.use.worked import Made, Work, work, written
from diffx_core.config.run import plain
from diffx_core.pipeline.latent import plan_from


@frozen(eq=False)
class Editing:
    """Examples that are about to be edited.

    Args:
        work: the model and the examples.
    """

    work: Work

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run, read the examples, and check that the one can edit the others.

        Raises:
            ConfigError: the sampler, the process, the guidance or the labels do not suit the run.
            DataError: an example is not such as the model's.
        """
        found = cls(work(request))
        model, strength = found.work.model, request.options.strength
        drawing = model.pipeline.drawing(found.work.n, sampler=model.method, **found._told())
        if strength:
            plan = plan_from(model.method, drawing.denoiser, strength)
            check_interval(request.sections["guidance"], evolve(drawing, plan=plan))
        return found

    def facts(self) -> dict[str, Any]:
        """What reproduces the results, as plain JSON types."""
        request = self.work.model.request
        return {
            **self.work.facts(),
            "strength": request.options.strength,
            "guidance": plain(asdict(request.sections["guidance"])),
        }

    def write(self) -> tuple[Path, dict[str, Any]]:
        """Edit and write; returns the file to look at, and what reproduces the results."""
        model = self.work.model
        label = model.request.components["sampler"].registered.name
        return written(model, label, (), self.facts(), self._made)

    def _made(self) -> Made:
        model, x = self.work.model, self.work.given.x
        strength = model.request.options.strength
        made = model.pipeline.edit(x, strength, sampler=model.method, **self._told())
        return Made(made, rows=[x])

    def _told(self) -> dict[str, Any]:
        request, told = self.work.model.request, self.work.told
        return {
            "guidance": request.sections["guidance"],
            "label": told.labels,
            "prompt": told.prompts,
            "seed": request.options.seed,
        }
