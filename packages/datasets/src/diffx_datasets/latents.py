"""Images encoded beforehand, standardised for each channel.

    x = (z - mean) / std,    mean and std of each channel, measured once over all latents z

Shapes: z, x (C, H, W).
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from attrs import asdict, field, frozen

from diffx_core import DataError, Dataset, DataSpec
from diffx_datasets.classes import CAN_BE_SAID, classes_of
from diffx_datasets.keeping import kept
from diffx_datasets.latent_moments import Measured, Standard, measured
from diffx_datasets.latent_reading import read_shards
from diffx_datasets.latent_shards import Shard
from diffx_datasets.latents_held import Held
from diffx_datasets.packing import FACTS, stamp
from diffx_datasets.prepared import Prepared

VERSION = 2
"""Part of what is kept: raise it when the same shards are measured in another way."""


@frozen(kw_only=True)
class Latents(Prepared):
    """What an autoencoder has made of images, as `diffx encode-latents` writes it.

    Args:
        root: the folder with the shards.
        flip: whether training sees half of the images mirrored; their latents must be there, too.
        captions: whether the texts about the images, which must be there, are given to an encoder.
        num_classes: how many classes there are, of which some may have no example here; by default
            what the shards say, or else one more than the highest label.

    References:
        Rombach et al., 2022, High-resolution image synthesis with latent diffusion models
            (arXiv:2112.10752).
    """

    root: Path
    flip: bool = False
    captions: bool = False
    num_classes: int | None = field(default=None, validator=CAN_BE_SAID)

    @cached_property
    def held(self) -> Held:
        """The latents, mapped into memory."""
        shards = read_shards(self.root, captions=self.captions)
        if self.flip and shards[0].mirrored is None:
            raise DataError(
                f"latents: {self.root} has no latents of mirrored images; encode them again with"
                " diffx encode-latents --mirrored true, or leave out --dataset.flip"
            )
        classes = self._classes(shards)
        files = [stamp(one.path) for one in shards]
        facts = {"version": VERSION, "root": str(self.root.resolve()), "files": files}
        folder = kept("latents", facts, lambda empty: _write(measured(shards), empty))
        said = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        standard, sums = Standard(**said["standard"]), said["sums"]
        spec = DataSpec(
            shape=shards[0].latents.shape[1:],
            num_classes=classes,
            sigma_data=standard.rms,
            captions=self.captions,
        )
        read = ("latents", "mirrored") if self.flip else ("latents",)
        return Held(
            shards=shards,
            standard=standard,
            facts=spec,
            flips=self.flip,
            sums={name: sums[name] for name in read},
        )

    def _classes(self, shards: Sequence[Shard]) -> int | None:
        labels = [one.label.numpy() for one in shards if one.label is not None]
        found = np.concatenate(labels) if labels else None
        return classes_of(found, self.num_classes, f"latents: {self.root}", shards[0].num_classes)

    @property
    def standard(self) -> Standard:
        """What makes the latents of unit variance."""
        return self.held.standard

    def on(self, device: torch.device | str) -> Dataset:
        """The same latents on a device, if they fit there."""
        return self if self.streams else self.held.on(device)


def _write(found: Measured, folder: Path) -> None:
    (folder / FACTS).write_text(json.dumps(asdict(found)) + "\n", encoding="utf-8")
