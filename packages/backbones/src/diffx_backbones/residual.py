"""The block of a U-Net: two convolutions as a residual, told the condition, and then attention.

    h <- skip(h) + conv2 silu((1 + scale) norm(conv1 silu(norm(h))) + shift),   conv2 = 0 at first

Scale and shift are linear in the condition. The sum may be divided by sqrt 2, and so may that with
the attention. Where data have context tokens, the pixels ask those after each other.

Shapes: x (B, C, H, W), condition (B, D).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from diffx_backbones.attention import SelfAttention
from diffx_backbones.context import CrossAttention, Told
from diffx_backbones.initialisation import zeroed


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with at least four channels to a group, and at most 32 groups."""
    return nn.GroupNorm(math.gcd(channels // 4, 32), channels)


class PixelAttention(nn.Module):
    """Self-attention among the pixels, as a residual, and attention to the context after it.

    Args:
        channels: C, of input and output.
        heads: of the attention; they share the channels.
        scale: what the sum is multiplied by.
        context: of a token of the context; None if there is none.
    """

    def __init__(
        self, channels: int, heads: int, *, scale: float = 1.0, context: int | None = None
    ) -> None:
        super().__init__()
        self.scale = scale
        self.norm = group_norm(channels)
        self.attention = SelfAttention(channels, heads)
        zeroed(self.attention.out)
        self.cross = (
            None if context is None else CrossAttention(channels, heads, context, qk_norm=False)
        )

    def forward(self, x: Tensor, told: Told | None = None) -> Tensor:
        """Maps (B, C, H, W) to (B, C, H, W)."""
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        h: Tensor = self.attention(tokens)
        y = (x + h.transpose(1, 2).reshape(x.shape)) * self.scale
        if self.cross is None or told is None:
            return y
        h = self.cross(y.flatten(2).transpose(1, 2), told)
        return h.transpose(1, 2).reshape(x.shape)


class ResBlock(nn.Module):
    """A residual block, between an optional halving of the image and an optional doubling.

    Args:
        channels_in: of the input, with those of a skip.
        channels: of the output.
        width: D, of the condition.
        heads: of the attention; 0 for none.
        halves: whether the image is halved first, by averaging.
        doubles: whether the image is doubled at last, by repetition.
        dropout: share of the activations before the last convolution that training forgets.
        scaled: whether sums are divided by sqrt 2.
        context: of a token of the context, which the attention reads; None if there is none.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        width: int,
        *,
        heads: int = 0,
        halves: bool = False,
        doubles: bool = False,
        dropout: float = 0.0,
        scaled: bool = False,
        context: int | None = None,
    ) -> None:
        super().__init__()
        self.scale = math.sqrt(0.5) if scaled else 1.0
        self.before = nn.AvgPool2d(2) if halves else nn.Identity()
        self.norm1 = group_norm(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.modulation = zeroed(nn.Linear(width, 2 * channels))
        self.norm2 = group_norm(channels)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = zeroed(nn.Conv2d(channels, channels, 3, padding=1))
        is_same = channels_in == channels
        self.skip = nn.Identity() if is_same else nn.Conv2d(channels_in, channels, 1)
        self.attention = (
            PixelAttention(channels, heads, scale=self.scale, context=context) if heads else None
        )
        self.after = nn.UpsamplingNearest2d(scale_factor=2) if doubles else nn.Identity()

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        told: Told | None = None,
        skip: Tensor | None = None,
    ) -> Tensor:
        """Maps (B, channels_in, H, W), with the channels of a skip, to (B, channels, H', W')."""
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        x = self.before(x)
        h = self.conv1(silu(self.norm1(x)))
        h = self.dropout(silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))
        h = (self.skip(x) + self.conv2(h)) * self.scale
        y: Tensor = self.after(h if self.attention is None else self.attention(h, told))
        return y
