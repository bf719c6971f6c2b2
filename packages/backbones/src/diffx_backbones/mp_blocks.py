"""The blocks of a U-Net that keeps magnitudes.

    down:  x <- norm(skip(x)),        h <- sum(x, conv silu(c conv silu(x)))
    up:    x <- cat(x, s),            h <- sum(skip(x), conv silu(c conv silu(x)))
    both:  h <- sum(h, attention(h)), c = 1 + gain W condition,   gain = 0 at first

Layers, sums, concatenations and activations are those of `diffx_backbones.mp_layers`.

Shapes: x, h (B, C, H, W), condition (B, width).
"""

import torch
from torch import Tensor, nn

from diffx_backbones.attention import attend
from diffx_backbones.mp_layers import MPConv, MPLinear, mp_cat, mp_silu, mp_sum, pixel_norm

RESIDUAL = 0.3
"""Share of a residual branch in a sum."""
LIMIT = 256.0
"""Activations are cut off there, which half precision needs and training does not notice."""


class CosineAttention(nn.Module):
    """Self-attention among the pixels, of queries, keys and values of one length.

    Args:
        channels: C, of input and output.
        heads: of the attention; they share the channels.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = MPConv(channels, 3 * channels, 1)
        self.out = MPConv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the same."""
        B, C, H, W = x.shape
        qkv = self.qkv(x).reshape(B, 3, self.heads, C // self.heads, H * W)
        q, k, v = pixel_norm(qkv, dim=3).transpose(3, 4).unbind(1)
        y = attend(q, k, v).transpose(2, 3).reshape(x.shape)
        return mp_sum(x, self.out(y), RESIDUAL)


class Residual(nn.Module):
    """Two convolutions, told the condition.

    Args:
        channels_in: of the input.
        channels: of the output.
        width: of the condition.
        dropout: share of the activations between them that training forgets.
    """

    def __init__(self, channels_in: int, channels: int, width: int, *, dropout: float) -> None:
        super().__init__()
        self.conv1 = MPConv(channels_in, channels, 3)
        self.gain = nn.Parameter(torch.zeros(1))
        self.modulation = MPLinear(width, channels)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = MPConv(channels, channels, 3)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, channels_in, H, W) to (B, channels, H, W)."""
        told = self.modulation(condition)[:, :, None, None]
        scale = 1 + self.gain.to(told.dtype) * told  # as one number, it would raise the precision
        y: Tensor = self.conv2(self.dropout(mp_silu(self.conv1(mp_silu(x)) * scale)))
        return y


class Down(nn.Module):
    """A block on the way down.

    Args:
        channels_in: of the input.
        channels: of the output.
        width: of the condition.
        heads: of the attention; 0 for none.
        halves: whether the image is halved first, by averaging.
        dropout: share of the activations inside that training forgets.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        width: int,
        *,
        heads: int,
        halves: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.halve = nn.AvgPool2d(2) if halves else nn.Identity()
        self.skip = nn.Identity() if channels_in == channels else MPConv(channels_in, channels, 1)
        self.residual = Residual(channels, channels, width, dropout=dropout)
        self.attention = CosineAttention(channels, heads) if heads else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, channels_in, H, W) to (B, channels, H', W')."""
        x = pixel_norm(self.skip(self.halve(x)))
        y: Tensor = self.attention(mp_sum(x, self.residual(x, condition), RESIDUAL))
        return y.clamp(-LIMIT, LIMIT)


class Up(nn.Module):
    """A block on the way up.

    Args:
        channels_in: of the input.
        channels: of the output.
        width: of the condition.
        heads: of the attention; 0 for none.
        reads: channels of the skip; 0 if there is none.
        doubles: whether the image is doubled first, by repetition.
        dropout: share of the activations inside that training forgets.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        width: int,
        *,
        heads: int,
        reads: int,
        doubles: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.reads = reads
        read = channels_in + reads
        self.repeat = nn.UpsamplingNearest2d(scale_factor=2) if doubles else nn.Identity()
        self.skip = nn.Identity() if read == channels else MPConv(read, channels, 1)
        self.residual = Residual(read, channels, width, dropout=dropout)
        self.attention = CosineAttention(channels, heads) if heads else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor, skip: Tensor | None) -> Tensor:
        """Maps (B, channels_in, H, W) and a skip to (B, channels, H', W')."""
        x = self.repeat(x) if skip is None else mp_cat(x, skip)
        h = self.residual(x, condition)
        y: Tensor = self.attention(mp_sum(self.skip(x), h, RESIDUAL))
        return y.clamp(-LIMIT, LIMIT)
