"""The autoencoder of latent diffusion, read by diffusers from a folder of this machine.

Shapes: images (B, 3, H, W) in [-1, 1], latents (B, C, h, w).
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from diffx_core import ConfigError

CONFIG = "config.json"
WHAT = "AutoencoderKL"


@frozen(eq=False)
class Autoencoder:
    """Makes latents of images, and images of latents.

    Args:
        model: the AutoencoderKL of diffusers.

    References:
        Rombach et al., 2022, High-resolution image synthesis with latent diffusion models
            (arXiv:2112.10752).
    """

    model: Any

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "Autoencoder":
        """Read one; nothing is ever downloaded, and no pickle is opened.

        Args:
            folder: with config.json and a safetensors file, or one of a pipeline, which has both
                in vae/.
            device: where to put it.

        Raises:
            ConfigError: there is none, it has numbers that are not finite, or diffusers is not
                installed.
        """
        home = next((one for one in (folder, folder / "vae") if (one / CONFIG).is_file()), None)
        if home is None:
            raise ConfigError(
                f"{folder}: has no {CONFIG}; an autoencoder is a folder with it and a safetensors"
                " file, as diffusers saves it"
            )
        _check_kind(home / CONFIG)
        try:
            from diffusers import AutoencoderKL
        except ImportError as error:
            raise ConfigError(
                f"diffusers reads autoencoders ({error}): pip install 'diffx-datasets[latents]'"
            ) from error
        try:
            with _quiet():
                model, found = AutoencoderKL.from_pretrained(
                    home,
                    local_files_only=True,
                    use_safetensors=True,
                    low_cpu_mem_usage=False,
                    output_loading_info=True,
                )
        except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(f"{home}: is no {WHAT} that can be read: {reason}") from error
        wrong = [f"{name}: {', '.join(map(str, keys))}" for name, keys in found.items() if keys]
        if wrong:
            raise ConfigError(f"{home}: the weights do not fit {CONFIG}: {'; '.join(wrong)[:300]}")
        for name, one in model.state_dict().items():
            if not one.isfinite().all():
                raise ConfigError(f"{home}: {name} has numbers that are not finite")
        return cls(model.to(device).eval())

    @property
    def channels(self) -> int:
        """Of an image."""
        return int(self.model.config.in_channels)

    @property
    def factor(self) -> int:
        """Pixels that a latent has on each side: each level but the last halves the image."""
        return int(2 ** (len(self.model.config.block_out_channels) - 1))

    def encode(self, images: Tensor) -> Tensor:
        """The mean of the latents of images."""
        with torch.no_grad():
            latents: Tensor = self.model.encode(images).latent_dist.mode()
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """The images of latents."""
        with torch.no_grad():
            images: Tensor = self.model.decode(latents).sample
        return images

    def unscaled(self, samples: Tensor) -> Tensor:
        """The latents of samples in the scale that config.json tells networks elsewhere to use."""
        config = self.model.config
        latents: Tensor = samples / config.scaling_factor + (config.get("shift_factor") or 0.0)
        return latents


def _check_kind(file: Path) -> None:
    """Refuse a config.json that says it is of something else."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file.parent}: is no {WHAT} that can be read: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{file}: is no table of options")
    kind = config.get("_class_name", WHAT)
    if kind != WHAT:
        raise ConfigError(f"{file.parent}: is a {kind}, and images become latents by an {WHAT}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what diffusers logs of weights that do not fit, which is told by the error."""
    log = logging.getLogger("diffusers.models.modeling_utils")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
