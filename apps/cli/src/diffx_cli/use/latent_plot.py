"""Examples of a run's own data where the model has them, brought into the plane."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn

from diffx_cli.line.request import Request
from diffx_cli.output.writing import writing
from diffx_cli.picture.class_figure import write_figure, write_table
from diffx_cli.use.narrowest import features, narrowest
from diffx_cli.use.own_data import Own
from diffx_cli.use.using import Used, used
from diffx_cli.use.worked import alone, write_facts
from diffx_core.dataset import NO_LABEL
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.errors import ConfigError
from diffx_core.noise import NoiseSource
from diffx_core.pipeline.latent import deterministic
from diffx_core.swap import SwappedProcess

MOST, BATCH = 500, 256
NOISE, PERPLEXITY = 0.3, 30.0
CLOSE = 1e-3
"""By which the logarithm of a noise level may be off."""
FACTS, PICTURE, TABLE = "latent-plot.json", "latent-plot.png", "latent-plot.csv"


@frozen(eq=False)
class LatentPlot:
    """A plot that is about to be made.

    Args:
        model: the run.
        own: the examples.
    """

    model: Used
    own: Own
    _found: dict[str, Any] = field(factory=dict, init=False, repr=False)

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run and read the examples.

        Raises:
            ConfigError: the sampler or the process does not suit the run, or there are not as many
                examples, or too few for the perplexity.
            DataError: the data are gone, or are others than those that the run was made with.
        """
        options = request.options
        if options.of == "features":  # no sampler has to suit the run
            others = dict(request.components)
            del others["sampler"]
            request = evolve(request, components=others)
        model = alone(used(request, nfe=options.nfe), request.command.name)
        if options.of == "latents":
            deterministic(model.method)
        own = Own.of(model, options.n, options.split, options.seed, most=MOST)
        found = cls(model, own)
        if options.by == "tsne" and found.perplexity >= len(own.index):
            raise ConfigError(
                f"--perplexity: {found.perplexity:g} neighbours are too many of {len(own.index)}"
                " examples: take fewer, or more examples"
            )
        return found

    @property
    def perplexity(self) -> float:
        """Of t-SNE."""
        return self.model.request.options.perplexity or PERPLEXITY

    def facts(self) -> dict[str, Any]:
        """What reproduces the plot, as plain JSON types."""
        options = self.model.request.options
        is_features = options.of == "features"
        return {
            **self.model.facts(),
            "of": options.of,
            "by": options.by,
            "n": len(self.own.index),
            "split": self.own.split,
            "noise": (options.noise or NOISE) if is_features else None,
            "module": options.module,
            "perplexity": self.perplexity if options.by == "tsne" else None,
            **self._found,
        }

    def write(self) -> tuple[Path, dict[str, Any]]:
        """Compute and write; returns the picture, and what reproduces it."""
        options = self.model.request.options
        with self.model.place(
            "latent-plot", f"{options.of}-{options.by}", (FACTS, PICTURE, TABLE)
        ) as place:
            with self.model.blaming(), torch.no_grad():
                points = self._plane(self._latents() if options.of == "latents" else self._seen())
            with writing(place.folder):
                write_facts(place, "latent-plot", self.facts())
                labels, title = (
                    self._labels,
                    f"{options.of} of {len(points)} examples, by {options.by}",
                )
                write_table(place.partial / TABLE, self.own.index.tolist(), labels, points)
                write_figure(place.partial / PICTURE, labels, points, title)
                place.publish()
        return place.folder / PICTURE, self.facts()

    def _latents(self) -> Tensor:
        return self.model.pipeline.encode(self.own.x, sampler=self.model.method).flatten(1)

    def _seen(self) -> Tensor:
        """Features (n, D) of the examples with noise."""
        options, pipeline, n = self.model.request.options, self.model.pipeline, len(self.own.index)
        scheduler, wanted = pipeline.denoiser.scheduler, options.noise or NOISE
        level = torch.tensor(wanted, dtype=torch.float64).log()
        time = scheduler.time_of(-2 * level)
        t = float(time)
        known = pipeline.denoiser.t_min <= t <= pipeline.denoiser.t_max
        if not known or abs(float(scheduler.log_snr(time) / 2 + level)) > CLOSE:
            raise ConfigError(f"--noise: the model knows no time with sigma / alpha = {wanted:g}")
        noise = NoiseSource(
            options.seed, range(n), device=pipeline.device, dtype=pipeline.dtype
        ).named("features")
        z = scheduler.noise(noise, pipeline.spec.shape, 0)
        x = float(scheduler.alpha(time)) * self.own.x.to(z) + float(scheduler.sigma(time)) * z
        pipeline.denoiser.prepare([t], pipeline.device)
        network, cond = self._network(), pipeline.told(n)

        def ask(rows: slice) -> object:
            told = {name: one[rows] for name, one in cond.given().items()}
            here = type(cond)(**told).to(pipeline.device)
            return pipeline.denoiser(x[rows], t, here)

        name = options.module
        if name is None:
            name = narrowest(network, lambda: ask(slice(0, 2)))
        self._found["module"] = name
        parts = [slice(k, k + BATCH) for k in range(0, n, BATCH)]
        return torch.cat([features(network, name, partial(ask, part)) for part in parts])

    def _network(self) -> nn.Module:
        denoiser = self.model.pipeline.denoiser
        if isinstance(denoiser, SwappedProcess):
            denoiser = denoiser.inner
        assert isinstance(denoiser, NetworkDenoiser), "it was loaded"
        assert isinstance(denoiser.backbone, nn.Module), "it was loaded"
        return denoiser.backbone

    def _plane(self, x: Tensor) -> Tensor:
        """(n, 2) of (n, D)."""
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE

        options, rows = self.model.request.options, x.double().cpu().numpy()
        if x.shape[1] < 2:
            raise ConfigError("--of: examples of one number have no plane")
        if options.by == "pca":
            pca = PCA(2, svd_solver="full")
            plane = pca.fit_transform(rows)
            self._found["explained"] = pca.explained_variance_ratio_.tolist()
        else:
            tsne = TSNE(
                2, perplexity=self.perplexity, init="pca", random_state=options.seed % 2**32
            )
            plane = tsne.fit_transform(rows)
        return torch.from_numpy(plane).double()

    @property
    def _labels(self) -> Sequence[int | None]:
        labels = self.own.labels or [NO_LABEL] * len(self.own.index)
        return [None if one == NO_LABEL else one for one in labels]
