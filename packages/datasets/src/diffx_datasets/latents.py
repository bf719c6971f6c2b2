"""Images encoded beforehand, standardised for each channel.

    x = (z - mean) / std,    mean and std of each channel, measured once over all latents z

Shapes: x (B, C, H, W), index (B,).
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import asdict, evolve, field, frozen
from torch import Tensor

from diffx_core import Batch, Condition, DataError, Dataset, DataSpec
from diffx_datasets.keeping import fingerprint, kept
from diffx_datasets.latent_shards import Shard, Standard, measured, read_shards
from diffx_datasets.packed import MOST_KEPT, fits, mirrored, within
from diffx_datasets.packing import stamp
from diffx_datasets.prepared import Prepared


@frozen(kw_only=True, eq=False)
class Held(Dataset):
    """Latents in memory, mapped into it, or on an accelerator.

    Args:
        shards: the latents.
        standard: what makes them of unit variance.
        facts: about them, as they are delivered.
        flips: whether training sees half of the images mirrored.
    """

    shards: Sequence[Shard] = field(repr=False)
    standard: Standard
    facts: DataSpec
    flips: bool = False

    @property
    def spec(self) -> DataSpec:
        """The facts about the latents."""
        return self.facts

    @property
    def fingerprint(self) -> str:
        """How many there are, their moments, and their labels."""
        facts = {"count": len(self), **asdict(self.standard)}
        labels = [one.label.cpu().numpy() for one in self.shards if one.label is not None]
        if labels:
            facts["labels"] = hashlib.sha256(np.concatenate(labels).tobytes()).hexdigest()
        return fingerprint(facts)

    @property
    def streams(self) -> bool:
        """Whether they are more than memory should hold."""
        return self._bytes > MOST_KEPT and len(self.shards) > 1

    @cached_property
    def _ends(self) -> Tensor:
        return torch.tensor([len(one.latents) for one in self.shards]).cumsum(0)

    @property
    def _bytes(self) -> int:
        return sum(x.nbytes for one in self.shards for x in one.tensors().values())

    def __len__(self) -> int:
        return int(self._ends[-1])

    def on(self, device: torch.device | str) -> "Held":
        """The same latents on a device, if they fit there; else as they are."""
        if torch.device(device).type == "cpu" or not fits(self._bytes, device):
            return self
        whole = [one.to(device) for one in self.shards]
        names = whole[0].tensors()
        merged: dict[str, Any] = {
            name: torch.cat([one.tensors()[name] for one in whole]) for name in names
        }
        return evolve(self, shards=[evolve(whole[0], **merged)])

    def batch(self, index: Tensor) -> Batch:
        """The latents (B, C, H, W) at the (B,) positions `index`, standardised."""
        return self._batch(index, None)

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The same, half of them of mirrored images if asked for."""
        within(index, len(self))
        return self._batch(index, mirrored(index, seed, step) if self.flips else None)

    def _batch(self, index: Tensor, flipped: Tensor | None) -> Batch:
        within(index, len(self))
        first = self.shards[0]
        x = first.latents.new_empty(len(index), *self.spec.shape, dtype=torch.float32)
        label = None if first.label is None else first.label.new_empty(len(index))
        home = torch.bucketize(index, self._ends, right=True)
        for k in home.unique().tolist():
            here = (home == k).nonzero()[:, 0]
            shard, rows = self.shards[k], index[here]
            rows = (rows - (self._ends[k] - len(shard.latents))).to(x.device)
            mirror = None if flipped is None else flipped[here].to(x.device)
            x[here.to(x.device)] = shard.rows(rows, mirror)
            if label is not None and shard.label is not None:
                label[here.to(x.device)] = shard.label[rows]
        return Batch(x=self.standard.applied_(x), cond=Condition(label=label), index=index)


@frozen(kw_only=True)
class Latents(Prepared):
    """What an autoencoder has made of images, as `diffx encode-latents` writes it.

    Args:
        root: the folder with the shards.
        flip: whether training sees half of the images mirrored; their latents must be there, too.

    References:
        Rombach et al., 2022, High-resolution image synthesis with latent diffusion models
            (arXiv:2112.10752).
    """

    root: Path
    flip: bool = False

    @cached_property
    def held(self) -> Held:
        """The latents, mapped into memory."""
        shards = read_shards(self.root)
        if self.flip and shards[0].mirrored is None:
            raise DataError(
                f"latents: {self.root} has no latents of mirrored images; encode them again with"
                " diffx encode-latents --mirrored true, or leave out --dataset.flip"
            )
        facts = {"root": str(self.root.resolve()), "files": [stamp(one.path) for one in shards]}
        folder = kept("latents", facts, lambda empty: _write(measured(shards), empty))
        standard = Standard(**json.loads((folder / "facts.json").read_text(encoding="utf-8")))
        highest = [int(one.label.max()) for one in shards if one.label is not None]
        spec = DataSpec(
            shape=shards[0].latents.shape[1:],
            num_classes=shards[0].num_classes or (max(highest) + 1 if highest else None),
            sigma_data=standard.rms,
        )
        return Held(shards=shards, standard=standard, facts=spec, flips=self.flip)

    @property
    def standard(self) -> Standard:
        """What makes the latents of unit variance."""
        return self.held.standard

    def on(self, device: torch.device | str) -> Dataset:
        """The same latents on a device, if they fit there."""
        return self if self.streams else self.held.on(device)


def _write(standard: Standard, folder: Path) -> None:
    (folder / "facts.json").write_text(json.dumps(asdict(standard)) + "\n", encoding="utf-8")
