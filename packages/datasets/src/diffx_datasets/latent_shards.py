"""Files of latents: safetensors shards, memory-mapped.

A shard has latents (n, C, H, W) and, if there are any, label (n,), mirrored (n, C, H, W) and
captions: the bytes of a JSON list of n texts. Its header says which part of how many it is, so that
a missing one is noticed, and how many classes there are, of which some may have no example.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, field, frozen
from safetensors.torch import save_file
from torch import Tensor

NAME = "latents-{:05d}.safetensors"
CLASSES = "num_classes"
"""Where the header of a file says how many classes there are."""
CAPTIONS = "captions"
"""What the texts are called in a file."""


@frozen(kw_only=True, eq=False)
class Shard:
    """Some of the latents.

    Args:
        path: of the file.
        latents: (n, C, H, W), of any floating type.
        label: (n,) int64, or None.
        mirrored: (n, C, H, W) the latents of the mirrored images, or None.
        num_classes: how many classes the labels are of; None if that is not known.
        captions: n texts about the images, or None.
    """

    path: Path
    latents: Tensor = field(repr=False)
    label: Tensor | None = field(default=None, repr=False)
    mirrored: Tensor | None = field(default=None, repr=False)
    num_classes: int | None = None
    captions: Sequence[str] | None = field(default=None, repr=False)

    @property
    def form(self) -> str:
        """What all shards have to have in common."""
        shape = "x".join(map(str, self.latents.shape[1:]))
        label = "with" if self.label is not None else "without"
        if self.num_classes is not None:
            label += f" {self.num_classes} kinds of"
        mirrored = "with" if self.mirrored is not None else "without"
        return f"latents of {shape} {label} labels, {mirrored} mirrored ones"

    def to(self, device: torch.device | str) -> "Shard":
        """The same shard on a device."""
        moved: dict[str, Any] = {k: one.to(device) for k, one in self.tensors().items()}
        return evolve(self, **moved)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that there are, by name."""
        there = {"latents": self.latents, "label": self.label, "mirrored": self.mirrored}
        return {name: one for name, one in there.items() if one is not None}

    def rows(self, index: Tensor, flipped: Tensor | None) -> Tensor:
        """Latents (B, C, H, W) in float32 by position, of mirrored images where `flipped` is."""
        rows = self.latents.index_select(0, index).float()
        if flipped is None or self.mirrored is None:
            return rows
        others = self.mirrored.index_select(0, index).float()
        return torch.where(flipped[:, None, None, None], others, rows)


def write_shard(folder: Path, shard: Shard, number: int, count: int) -> None:
    """Write the part `number` of `count`, whole or not at all."""
    path = folder / NAME.format(number)
    partial = path.with_suffix(".partial")
    tensors = {name: one.contiguous() for name, one in shard.tensors().items()}
    if shard.captions is not None:
        said = bytearray(json.dumps(list(shard.captions)).encode())
        tensors[CAPTIONS] = torch.frombuffer(said, dtype=torch.uint8)
    header = {"part": str(number), "of": str(count)}
    if shard.num_classes is not None:
        header[CLASSES] = str(shard.num_classes)
    save_file(tensors, partial, header)
    partial.rename(path)
