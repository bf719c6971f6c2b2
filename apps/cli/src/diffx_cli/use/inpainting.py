"""Parts of examples that a user gives, made anew."""

from pathlib import Path
from typing import Any, Self

import torch
from attrs import asdict, evolve, frozen
from torch import Tensor

from diffx_cli.line.request import Request
from diffx_cli.sample.refusals import check_interval
from diffx_cli.use.given import Giver
from diffx_cli.use.worked import Made, Work, work, written
from diffx_core.config.run import plain
from diffx_core.denoiser import Denoiser
from diffx_core.errors import DataError
from diffx_core.guidance import DPS, PiGDM, Replacement
from diffx_core.noise import NoiseSource
from diffx_core.pipeline import Drawing
from diffx_core.sampling import plan_for


@frozen(eq=False)
class Inpainting:
    """Examples of which parts are about to be made anew.

    Args:
        work: the model and the examples.
        known: 1 where they are kept, 0 where they are not; (n, *shape) or to be broadcast.
        drawing: the results.
    """

    work: Work
    known: Tensor
    drawing: Drawing

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run, read the examples and their masks, and check that the one suits the others.

        Raises:
            ConfigError: the sampler, the process, the guidance or the labels do not suit the run.
            DataError: an example or a mask is not such as the model's.
        """
        here, options = work(request), request.options
        pipeline, guidance = here.model.pipeline, request.sections["guidance"]
        known = Giver("--mask", pipeline.spec, options.fit).masks(options.mask, here.n)
        shares = known.flatten(1).mean(1)
        if bool((shares == 1).any()):
            raise DataError(
                f"--mask {options.mask}: keeps all of an example: nothing is left to do"
            )
        if bool((shares == 0).any()):
            raise DataError(
                f"--mask {options.mask}: keeps nothing of an example: diffx sample draws whole ones"
            )
        drawing = pipeline.drawing(
            here.n,
            sampler=here.model.method,
            guidance=guidance,
            label=here.told.labels,
            prompt=here.told.prompts,
            seed=options.seed,
        )
        agreeing = _agreeing(here, known, drawing)
        plan = plan_for(drawing.sampler, agreeing)
        drawing = evolve(drawing, denoiser=agreeing, plan=plan)
        check_interval(guidance, drawing)
        return cls(here, known, drawing)

    def facts(self) -> dict[str, Any]:
        """What reproduces the results, as plain JSON types."""
        request = self.work.model.request
        options = request.options
        return {
            **self.work.facts(),
            "mask": str(options.mask),
            "by": options.by,
            "pull": options.pull if options.by == "dps" else None,
            "guidance": plain(asdict(request.sections["guidance"])),
        }

    def write(self) -> tuple[Path, dict[str, Any]]:
        """Inpaint and write; returns the file to look at, and what reproduces the results."""
        return written(
            self.work.model, self.work.model.request.options.by, (), self.facts(), self._made
        )

    def _made(self) -> Made:
        x = self.work.given.x
        made = self.drawing.samples(batch_size=self.work.n)  # the noise is of certain samples
        middle = sum(self.work.model.pipeline.spec.value_range or (0.0, 0.0)) / 2
        masked = torch.where(self.known > 0, x, torch.full_like(x, middle))
        return Made(torch.where(self.known > 0, x, made), rows=[x, masked])


def _agreeing(here: Work, known: Tensor, drawing: Drawing) -> Denoiser:
    """The model, made to agree with what is known."""
    options, x, inner = here.model.request.options, here.given.x, drawing.denoiser
    if options.by == "replacement":
        indices = range(here.n)
        noise = NoiseSource(options.seed, indices, device=drawing.device, dtype=drawing.dtype)
        return Replacement(inner, mask=known, measurement=x, noise=noise.named("inpaint"))
    if options.by == "dps":
        return DPS(inner, operator=known, measurement=known * x, step=options.pull)
    sigma_data = here.model.pipeline.spec.sigma_data
    return PiGDM(inner, operator=known, measurement=known * x, sigma_data=sigma_data)
