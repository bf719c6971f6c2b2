"""A convolutional U-Net: down through levels of falling resolution, and up again in mirror image.

Every block on the way down hands its output down, and across to its mirror, which reads it together
with what comes from below and answers with as many channels as the first had been given. Resampling
has no weights of its own.

Shapes: x (B, C, H, W), h (B, channels * mult, H / 2^level, W / 2^level), condition (B, width).
"""

from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from diffx_backbones.embedding import ConditionEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.refusal import (
    non_positive,
    not_an_image,
    not_divisible,
    refuse,
    sides_not_divisible,
)
from diffx_backbones.residual import ResBlock, group_norm
from diffx_core import Condition, DataSpec


class Stage(NamedTuple):
    """A block on the way down and, in reverse, its mirror on the way up."""

    outer: int
    """Channels on the side of the image."""
    inner: int
    """Channels on the side of the bottom, and of the skip."""
    heads: int
    """Of the attention; 0 for none."""
    is_step: bool
    """Whether the resolution changes on its outer side."""


class UNet(nn.Module):
    """A class-conditional U-Net for images (C, H, W).

    Args:
        spec: of the data.
        channels: of level 0, which has the full resolution; a multiple of 4, and of 16 for speed.
        mults: channels of each level, in multiples of `channels`; every level has half the side of
            the one before it.
        blocks: residual blocks per level, on the way down and again on the way up.
        attention: levels whose blocks end in self-attention.
        heads: of the attention; 64 channels to a head is fastest.

    References:
        Ho, Jain and Abbeel, 2020, Denoising Diffusion Probabilistic Models (arXiv:2006.11239).
        Dhariwal and Nichol, 2021, Diffusion Models Beat GANs (arXiv:2105.05233).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: int = 16,
        mults: tuple[int, ...] = (1, 2, 4),
        blocks: int = 1,
        attention: tuple[int, ...] = (2,),
        heads: int = 1,
    ) -> None:
        stages = _stages(channels, mults, blocks, attention, heads)
        refuse(
            not_an_image("unet", spec)
            + non_positive(channels=channels, blocks=blocks, heads=heads)
            + not_divisible("channels", channels, 4, "the least group of a norm")
            + _wrong_levels(spec, mults, attention)
            + _wrong_heads(stages)
        )
        super().__init__()
        width = 4 * channels
        self.condition = ConditionEmbedding(width, spec.num_classes)
        self.stem = nn.Conv2d(spec.shape[0], channels, 3, padding=1)
        self.down = nn.ModuleList(
            ResBlock(s.outer, s.inner, width, heads=s.heads, halves=s.is_step) for s in stages
        )
        bottom = stages[-1]
        self.middle = ResBlock(bottom.inner, bottom.inner, width, heads=bottom.heads)
        self.up = nn.ModuleList(
            ResBlock(2 * s.inner, s.outer, width, heads=s.heads, doubles=s.is_step)
            for s in reversed(stages)
        )
        self.norm = group_norm(channels)
        self.out = zeroed(nn.Conv2d(channels, spec.shape[0], 3, padding=1))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        condition = self.condition(noise_label, cond)
        h: Tensor = self.stem(x)
        skips = []
        for block in self.down:
            h = block(h, condition)
            skips.append(h)
        h = self.middle(h, condition)
        for block in self.up:
            h = block(torch.cat([h, skips.pop()], dim=1), condition)
        y: Tensor = self.out(silu(self.norm(h)))
        return y


def _stages(
    channels: int, mults: tuple[int, ...], blocks: int, attention: tuple[int, ...], heads: int
) -> list[Stage]:
    stages = []
    outer = channels
    for level, mult in enumerate(mults):
        for i in range(blocks):
            inner = channels * mult
            is_step = level > 0 and i == 0
            stages.append(Stage(outer, inner, heads if level in attention else 0, is_step))
            outer = inner
    return stages


def _wrong_levels(spec: DataSpec, mults: tuple[int, ...], attention: tuple[int, ...]) -> list[str]:
    levels = len(mults)
    if levels == 0:
        return ["mults must name at least one level, got ()"]
    problems = non_positive(**{f"mults[{level}]": mult for level, mult in enumerate(mults)})
    problems += sides_not_divisible(spec, 2 ** (levels - 1), f"the reduction by {levels} levels")
    problems += [
        f"attention at level {level} is not possible: the levels are 0 to {levels - 1}"
        for level in attention
        if not 0 <= level < levels
    ]
    return problems


def _wrong_heads(stages: list[Stage]) -> list[str]:
    attended = chain.from_iterable([(s.outer, s.heads), (s.inner, s.heads)] for s in stages)
    problems = [
        not_divisible("attended channels", width, heads, "the number of heads")
        for width, heads in dict.fromkeys(attended)
    ]
    return list(chain.from_iterable(problems))
