"""`diffx latent-plot [RUN]`: examples where the model has them, as points in the plane."""

import json
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, gt, in_, le, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Using
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_core.errors import ConfigError


@frozen(kw_only=True)
class LatentPlotOptions(Using):
    """Of what, and how.

    Args:
        out: folder for the results; by default the next number under RUN/latent-plot/.
        of: latents, the noise behind each example along the probability-flow ODE; or features, what
            the network computes of it where it has the fewest pixels or tokens.
        by: how they are brought into the plane: pca, or tsne.
        n: how many examples of the data that the run was made with, chosen by the seed; by default
            500, or all if there are fewer.
        split: all of its own data, or those that were held out from training (held-out); by default
            the latter if there are any.
        noise: of features, the sigma / alpha of the noise that the examples are shown with.
        module: of features, the module of the network whose output they are.
        perplexity: of tsne, about how many neighbours a point has.
        steps: of latents, steps of the sampler; the same as --sampler.steps.
        nfe: instead of steps, how many times the network is called.
    """

    of: Literal["latents", "features"] = field(
        default="latents", validator=in_(("latents", "features"))
    )
    by: Literal["pca", "tsne"] = field(default="pca", validator=in_(("pca", "tsne")))
    n: int | None = field(default=None, validator=optional(and_(ge(3), le(100_000))))
    split: Literal["all", "held-out"] | None = None
    noise: float | None = field(default=None, validator=optional(gt(0)))
    module: str | None = None
    perplexity: float | None = field(default=None, validator=optional(gt(0)))
    steps: int | None = None
    nfe: int | None = field(default=None, validator=optional(ge(1)))

    def __attrs_post_init__(self) -> None:
        if self.of == "latents" and (self.noise, self.module) != (None, None):
            raise ConfigError("--noise and --module: are of --of features")
        if self.of == "features" and self.nfe is not None:
            raise ConfigError("--nfe: is of --of latents; features take one call of the network")
        if self.by == "pca" and self.perplexity is not None:
            raise ConfigError("--perplexity: is of --by tsne")


def run(request: Request) -> None:
    """Plot, or with ``--dry-run`` show what would be plotted."""
    from diffx_cli.use.latent_plot import LatentPlot

    options: LatentPlotOptions = request.options
    if options.of == "features" and any(key.startswith("sampler") for key in request.told):
        raise ConfigError("--sampler: is of --of latents; features take one call of the network")
    check_free(options.out, overwrite=options.overwrite)
    plot = LatentPlot.prepare(request)
    if options.dry_run:
        say(json.dumps(plot.facts(), indent=2))
        return
    file, facts = plot.write()
    say(json.dumps({"picture": str(file), **facts}) if options.json else f"plot: {file}")


COMMAND = Command(
    name="latent-plot",
    summary="Plot examples where a trained run has them: as noise, or as features.",
    options=LatentPlotOptions,
    run=run,
    words=("run",),
    components={"sampler": "rk45", "scheduler": None},
    aliases={"steps": "sampler.steps"},
    exclusive=(("sampler.steps", "nfe"),),
    examples=(
        "diffx latent-plot --n 1000",
        "diffx latent-plot runs/00000-vpsde-unet-digits --of features --by tsne",
        "diffx latent-plot --sampler heun --nfe 39 --split held-out",
    ),
)
