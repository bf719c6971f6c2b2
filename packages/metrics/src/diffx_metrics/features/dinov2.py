"""Features of DINOv2, from a local folder as transformers saves it."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import interpolate

from diffx_core import ConfigError, DataError, DataSpec, require_library
from diffx_metrics.features.seen import Features, Seen, is_picture, to_bytes

WEIGHTS = "model.safetensors"
SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the images that it was trained on."""


@frozen(kw_only=True, eq=False)
class DinoV2(Features):
    """DINOv2, whichever of its sizes the folder has.

    Args:
        network: it.
        spec: the facts about the data.
        device: where it is.
        digest: SHA-256 of the file of weights.
    """

    network: nn.Module
    spec: DataSpec
    device: torch.device
    digest: str

    @classmethod
    def load(cls, folder: Path, spec: DataSpec, device: torch.device) -> "DinoV2":
        """The network of a folder.

        Raises:
            ConfigError: the data are no pictures, or a library is not there.
            DataError: the folder has no such network.
        """
        if not is_picture(spec):
            raise ConfigError("DINOv2 sees pictures, grey or in colour, and the data are none")
        require_library("transformers", "diffx-metrics[dinov2]")
        try:
            with (folder / WEIGHTS).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            reason = f"{folder / WEIGHTS}: cannot be read: {error.strerror}"
            raise DataError(f"{reason}; it is in a folder such as facebook/dinov2-base") from error
        from transformers import Dinov2Model

        try:
            network: nn.Module = Dinov2Model.from_pretrained(
                str(folder), use_safetensors=True, local_files_only=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            line = str(error).strip().splitlines()[0]
            raise DataError(f"{folder}: is no DINOv2 as transformers saves it: {line}") from error
        return cls(network=network.to(device).eval(), spec=spec, device=device, digest=digest)

    @property
    def name(self) -> str:
        """By its weights."""
        return f"dinov2,{self.digest[:8]}"

    @property
    def facts(self) -> dict[str, Any]:
        """The weights, and how images are resized."""
        return {"sha256": self.digest, "resize": f"{SIDE}, bicubic with antialiasing"}

    @torch.no_grad()
    def see(self, x: Tensor) -> Seen:
        """The features (B, D) of images: the token of the class."""
        images = to_bytes(x, self.spec).to(self.device).float().expand(-1, 3, -1, -1) / 255
        images = interpolate(
            images, size=(SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False
        ).clamp(0, 1)
        mean, std = (torch.tensor(one, device=self.device).view(3, 1, 1) for one in (MEAN, STD))
        return Seen(self.network((images - mean) / std).pooler_output.float().cpu())
