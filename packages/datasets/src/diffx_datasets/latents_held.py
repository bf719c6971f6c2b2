"""Latents where they are: mapped into memory, or on an accelerator, and batched there.

Shapes: x (B, C, H, W), index (B,).
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_core import Batch, Condition, Dataset, DataSpec
from diffx_datasets.keeping import fingerprint
from diffx_datasets.latent_moments import Standard
from diffx_datasets.latent_shards import Shard
from diffx_datasets.packed import MOST_KEPT, at, fits, mirrored, within


@frozen(kw_only=True, eq=False)
class Held(Dataset):
    """Latents in memory, mapped into it, or on an accelerator.

    Args:
        shards: the latents.
        standard: what makes them of unit variance.
        facts: about them, as they are delivered.
        flips: whether training sees half of the images mirrored.
        sums: SHA-256 of what is read, by name.
    """

    shards: Sequence[Shard] = field(repr=False)
    standard: Standard
    facts: DataSpec
    flips: bool = False
    sums: Mapping[str, str]

    @property
    def spec(self) -> DataSpec:
        """The facts about the latents."""
        return self.facts

    @property
    def fingerprint(self) -> str:
        """Of all that is read: latents, labels, mirrored ones and texts."""
        facts: dict[str, object] = {"shape": self.spec.shape, **self.sums}
        labels = [one.label.cpu().numpy() for one in self.shards if one.label is not None]
        if labels:
            facts["labels"] = hashlib.sha256(np.concatenate(labels).tobytes()).hexdigest()
        if self._captions is not None:
            facts["captions"] = fingerprint({"texts": self._captions})
        return fingerprint(facts)

    @property
    def streams(self) -> bool:
        """Whether they are more than memory should hold."""
        return self._bytes > MOST_KEPT and len(self.shards) > 1

    @cached_property
    def _captions(self) -> list[str] | None:
        if not self.spec.captions:
            return None
        return [text for one in self.shards for text in one.captions or ()]

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
        return evolve(self, shards=[evolve(whole[0], **merged, captions=self._captions)])

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
        captions = at(self._captions, index.tolist())
        return Batch(self.standard.applied_(x), Condition(label=label), index, captions)
