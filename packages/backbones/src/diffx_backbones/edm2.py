"""A U-Net that keeps magnitudes, at first and however long it trains (EDM2).

There is no bias, no group norm, and no weight whose length matters (`diffx_backbones.mp_layers`). A
further channel of ones stands in for the biases, and what magnitude there is to learn sits in the
gains. Unlike as published, the noise level is told by cosines and sines, whose magnitude is one at
every level and not only on average.

Shapes: x (B, C, H, W), h (B, channels * mult, H / 2^level, W / 2^level), condition (B, width).
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from diffx_backbones.mp_blocks import Down, Up
from diffx_backbones.mp_layers import (
    MPConv,
    MPLinear,
    MPSinusoids,
    MPTable,
    mp_silu,
    mp_sum,
    renormalise,
)
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.recomputation import run
from diffx_backbones.refusal import reads_no_context, refuse
from diffx_backbones.sizes import edm2_of
from diffx_backbones.unet_presets import EDM2_PLANS, varied
from diffx_core import Condition, DataSpec, Sized, SizeName

CLASS = 0.5
"""Share of the class in what the blocks are told."""


class EDM2(nn.Module):
    """A magnitude-preserving, class-conditional U-Net for images (C, H, W).

    Args:
        spec: of the data.
        preset: what the options below are unless they are told.
        channels: of level 0, which has the full resolution; a multiple of 64 for speed.
        mults: channels of each level, in multiples of `channels`; every level has half the side of
            the one before it.
        blocks: residual blocks per level on the way down; one more on the way up.
        attention_sides: blocks end in self-attention where the smaller side of the image is one of
            these, in pixels.
        dropout: share of the activations inside a block that training forgets.
        checkpointing: whether training recomputes each block on the way back, which saves most of
            the memory, for steps about one and a half times as long.

    References:
        Karras et al., 2024, Analyzing and Improving the Training Dynamics of Diffusion Models
        (arXiv:2312.02696).
    """

    @classmethod
    def sized(cls, size: SizeName, spec: DataSpec) -> Sized:
        """What makes a network of a size for images of a shape."""
        return edm2_of(size, spec)

    def __init__(
        self,
        spec: DataSpec,
        *,
        preset: Literal["tiny", "small", "XS", "S", "M", "L", "XL", "XXL"] = "tiny",
        channels: int | None = None,
        mults: tuple[int, ...] | None = None,
        blocks: int | None = None,
        attention_sides: tuple[int, ...] | None = None,
        dropout: float | None = None,
        checkpointing: bool = False,
    ) -> None:
        plan = varied(
            EDM2_PLANS[preset],
            channels=channels,
            mults=mults,
            blocks=blocks,
            sides=attention_sides,
            dropout=dropout,
        )
        refuse(reads_no_context("edm2", spec) + plan.problems("edm2", spec, attention_sides))
        super().__init__()
        self.checkpointing, self.is_paired = checkpointing, spec.paired
        width = plan.channels * max(plan.mults)
        down = partial(Down, width=width, dropout=plan.dropout)
        up = partial(Up, width=width, dropout=plan.dropout)

        self.sinusoids = MPSinusoids(plan.channels)
        self.noise = MPLinear(plan.channels, width)
        self.classes = None if spec.num_classes is None else MPTable(spec.num_classes, width)
        self.stem = MPConv(read_channels(spec) + 1, plan.channels, 3)
        self.down = nn.ModuleList(
            down(s.before, s.channels, heads=s.heads, halves=s.is_step) for s in plan.way_down(spec)
        )
        self.up = nn.ModuleList(
            up(s.before, s.channels, heads=s.heads, reads=s.reads, doubles=s.is_step)
            for s in plan.way_up(spec)
        )
        self.out = MPConv(plan.channels * plan.mults[0], spec.shape[0], 3)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        if self.training:
            renormalise(self)
        through = partial(run, recomputed=self.checkpointing and self.training)
        condition = self._condition(noise_label, cond)
        h = beside(x, cond, is_paired=self.is_paired)
        h = self.stem(torch.cat([h, torch.ones_like(x[:, :1])], dim=1))
        skips = [h]
        for block in self.down:
            h = through(block, h, condition)
            skips.append(h)
        for block in self.up:
            h = through(block, h, condition, skips.pop() if block.reads else None)
        y: Tensor = self.out(h) * self.gain
        return y

    def _condition(self, noise_label: Tensor, cond: Condition) -> Tensor:
        h: Tensor = self.noise(self.sinusoids(noise_label).to(self.noise.weight.dtype))
        if self.classes is not None:
            h = mp_sum(h, self.classes(cond.label).to(h.dtype), CLASS)
        return mp_silu(h)
