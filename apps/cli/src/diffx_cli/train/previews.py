"""Samples that are drawn while a model is trained: of the same noise each time."""

from collections.abc import Callable

import torch
from attrs import evolve
from torch import Tensor

from diffx_cli.picture.pictures import to_bytes
from diffx_cli.train.assembly import Assembly
from diffx_core.contract import agree
from diffx_core.dataset import Condition, Dataset
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.errors import ConfigError
from diffx_core.options import DEFAULT_SAMPLER, PreviewOptions
from diffx_core.pipeline import Drawing
from diffx_core.plugins import Registry
from diffx_core.sampling import plan_for


def previews(
    run: Assembly, options: PreviewOptions, registry: Registry, device: torch.device, seed: int
) -> Callable[[NetworkDenoiser], Tensor] | None:
    """What draws them, as bytes (B, C, H, W); None if none are wanted.

    Raises:
        ConfigError: the data are no images, or the process has no sampler for them.
    """
    if options.every is None:
        return None
    spec = run.dataset.spec
    if not spec.is_image or spec.shape[0] not in (1, 3):
        raise ConfigError(
            f"--preview.every shows images, and the data have the shape {spec.shape}: leave it out"
        )
    method = registry.find("sampler", DEFAULT_SAMPLER).load()().with_nfe(options.nfe)
    agree(method, run.denoiser.scheduler)
    told = _told(run.dataset, options.n).to(device)

    def draw(denoiser: NetworkDenoiser) -> Tensor:
        # what is known of a network beforehand would last longer than this picture of it
        fresh = evolve(denoiser)
        drawing = Drawing(
            denoiser=fresh,
            sampler=method,
            shape=spec.shape,
            cond=told,
            n=options.n,
            seed=seed,
            device=device,
            bounds=spec.value_range,
            plan=plan_for(method, fresh),
        )
        return to_bytes(drawing.samples().cpu(), spec)

    return draw


def _told(dataset: Dataset, n: int) -> Condition:
    """What examples from all over the data are told."""
    places = torch.linspace(0, len(dataset) - 1, n).round().long()
    return dataset.batch(places).cond
