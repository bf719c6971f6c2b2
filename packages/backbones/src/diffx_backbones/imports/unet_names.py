"""What a published U-Net of any layout comes to: options, and where its layers go."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from attrs import define, field, frozen
from torch import Tensor

from diffx_backbones.imports.moves import Change, Move, layer, same
from diffx_core import ForeignWeights


@frozen(kw_only=True)
class BlockNames:
    """How a layout names what is in a residual block."""

    norm1: str
    conv1: str
    modulation: str
    norm2: str
    conv2: str
    skip: str


@frozen(kw_only=True)
class AttentionNames:
    """How a layout names what is in an attention, and the order of rows that it has for qkv."""

    norm: str
    qkv: tuple[str, ...]
    out: str
    change: Change = same


@define
class Places:
    """Where things are: names there by names here.

    Args:
        blocks: residual blocks, such as `down.0.1.block`.
        attentions: such as `down.0.1.attention`.
        convolved: convolutions between levels, such as `fall.0.conv`.
    """

    blocks: dict[str, str] = field(factory=dict)
    attentions: dict[str, str] = field(factory=dict)
    convolved: dict[str, str] = field(factory=dict)

    def cell(self, ours: str, theirs: str, *, is_attended: bool) -> None:
        """A block and its attention, numbered."""
        self.blocks[f"{ours}.block"] = f"{theirs}.0"
        if is_attended:
            self.attentions[f"{ours}.attention"] = f"{theirs}.1"

    def pair(self, ours: str, theirs: str, i: int, *, is_attended: bool) -> None:
        """A block and its attention, in two lists."""
        self.blocks[f"{ours}.block"] = f"{theirs}.resnets.{i}"
        if is_attended:
            self.attentions[f"{ours}.attention"] = f"{theirs}.attentions.{i}"

    def step(self, ours: str, theirs: str, convolution: str, foreign: ForeignWeights) -> None:
        """What is between two levels."""
        if f"{theirs}.{convolution}.weight" in foreign.tensors:
            self.convolved[f"{ours}.conv"] = f"{theirs}.{convolution}"
        else:
            self.blocks[ours] = theirs


@frozen(kw_only=True, eq=False)
class Found:
    """A U-Net in a file.

    Args:
        foreign: the file, with the names that the moves have.
        options: of `ddpm_unet`.
        side: of the images, if the file says it.
        channels: of the data.
        said: channels of the output.
        num_classes: of the data.
        layers: their names by ours: `stem`, `norm`, the two of the noise.
        places: of blocks, attentions and steps.
        out: name of the last layer.
        classes: name of the table of classes, if there are any.
        block: names within a block.
        attention: names within an attention.
        sine_first: whether noise features are sines before cosines.
    """

    foreign: ForeignWeights
    options: Mapping[str, Any]
    side: int | None
    channels: int
    said: int
    num_classes: int | None
    layers: Mapping[str, str]
    places: Places
    out: str
    classes: str | None
    block: BlockNames
    attention: AttentionNames
    sine_first: bool = False

    def moves(self) -> Iterable[Move]:
        """All but those of the last layer and of the classes."""
        for ours, theirs in self.layers.items():
            swap = self.sine_first and ours == "condition.noise.hidden"
            yield from layer(ours, theirs, change=_swapped if swap else same)
        for ours, theirs in self.places.convolved.items():
            yield from layer(ours, theirs)
        for ours, theirs in self.places.blocks.items():
            for part in ("norm1", "conv1", "modulation", "norm2", "conv2", "skip"):
                name = f"{theirs}.{getattr(self.block, part)}"
                if part != "skip" or f"{name}.weight" in self.foreign.tensors:
                    yield from layer(f"{ours}.{part}", name)
        for ours, theirs in self.places.attentions.items():
            names, change = self.attention, self.attention.change
            yield from layer(f"{ours}.norm", f"{theirs}.{names.norm}")
            yield from layer(
                f"{ours}.attention.qkv", *(f"{theirs}.{one}" for one in names.qkv), change=change
            )
            yield from layer(f"{ours}.attention.out", f"{theirs}.{names.out}", change=flat)


def with_no_class(table: Tensor) -> Tensor:
    """The table after a row of zeros, for what is told no class: the noise level alone."""
    return torch.cat([torch.zeros_like(table[:1]), table])


def flat(one: Tensor) -> Tensor:
    """The weight of a convolution of one pixel, as that of a linear layer."""
    return one.flatten(1) if one.ndim > 2 else one


def _swapped(one: Tensor) -> Tensor:
    """Columns for cosines before those for sines; a bias has none."""
    return one if one.ndim == 1 else one.roll(one.shape[1] // 2, dims=1)
