"""Latents as the images that an autoencoder makes of them, so that images are compared."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_cli.line.console import note
from diffx_core.dataset import Batch, Dataset, DataSpec
from diffx_core.errors import ConfigError
from diffx_datasets.autoencoder import Autoencoder
from diffx_datasets.latent_moments import Standard
from diffx_datasets.latents import Latents

BATCH = 16
"""Images that are decoded together."""
SPREAD = 0.5
"""Root mean square of images in [-1, 1], about."""


@frozen(eq=False)
class Decoder:
    """Makes images of what a model of latents draws.

    Args:
        autoencoder: it.
        standard: the scale of the latents.
        sha256: of the weights of the autoencoder.
        device: where it is.
    """

    autoencoder: Autoencoder
    standard: Standard
    sha256: str
    device: torch.device

    @classmethod
    def of(cls, dataset: Dataset, folder: Path, device: torch.device) -> Self:
        """An autoencoder for the latents of a dataset.

        Raises:
            ConfigError: the data are no latents, or not such as it makes; or there is none.
        """
        if not isinstance(dataset, Latents):
            raise ConfigError("--vae: is for models of latents, and this is none")
        found = Autoencoder.load(folder, device)
        channels, shape = int(found.model.config.latent_channels), dataset.spec.shape
        if len(shape) != 3 or shape[0] != channels:
            raise ConfigError(
                f"--vae {folder}: makes latents of {channels} channels, and those of the data are"
                f" {shape}"
            )
        return cls(found, dataset.standard, _digest(found), device)

    def __call__(self, x: Tensor) -> Tensor:
        """The images (B, C, H, W) in [-1, 1] of latents in the scale of the model."""
        parts = self.standard.undone(x.detach().cpu().float()).split(BATCH)
        images = [self.autoencoder.decode(one.to(self.device)).cpu() for one in parts]
        return torch.cat(images).clamp(-1, 1)


@frozen(eq=False, slots=False)
class Decoded(Dataset):
    """The images of latents.

    Args:
        latents: the data of a model.
        decoder: makes images of them.
    """

    latents: Dataset
    decoder: Decoder = field(repr=False)

    @cached_property
    def _facts(self) -> DataSpec:
        latents = self.latents.spec
        image = self.decoder(torch.zeros(1, *latents.shape))
        return evolve(
            latents, shape=image.shape[1:], value_range=(-1.0, 1.0), sigma_data=SPREAD, levels=256
        )

    @property
    def spec(self) -> DataSpec:
        """Images in [-1, 1], of the classes of the latents."""
        return self._facts

    def __len__(self) -> int:
        return len(self.latents)

    def batch(self, index: Tensor) -> Batch:
        """The images of some latents."""
        batch = self.latents.batch(index)
        return evolve(batch, x=self.decoder(batch.x))


def decoder_for(dataset: Dataset, folder: Path | None, device: torch.device) -> Decoder | None:
    """What decodes the samples of a model of some data; None for nothing.

    Raises:
        ConfigError: it does not suit.
    """
    if folder is not None:
        return Decoder.of(dataset, folder, device)
    if isinstance(dataset, Latents):
        note("measures latents; with --vae FOLDER, their images")
    return None


def _digest(autoencoder: Autoencoder) -> str:
    digest = hashlib.sha256()
    for name, one in sorted(autoencoder.model.state_dict().items()):
        digest.update(name.encode() + one.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
