"""The blocks of the U-Nets of DDPM and ADM, as they were published.

    h <- skip(resize(x)) + conv2 silu(m(norm(conv1 resize silu(norm(x))))),   conv2 = 0 at first

m adds what is linear in the condition before the norm (shift), or scales and shifts after it
(scale_shift).

Shapes: x (B, C, H, W), condition (B, D).
"""

from typing import Literal, TypeAlias

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import silu

from diffx_backbones.attention import SelfAttention
from diffx_backbones.ddpm_resizing import Convolved, Padding, Resizing, resizer
from diffx_backbones.initialisation import zeroed

Modulation: TypeAlias = Literal["shift", "scale_shift"]
Resample: TypeAlias = Literal["conv", "block"]


@frozen
class Manner:
    """What all blocks of a network have in common.

    Args:
        width: D, of the condition.
        modulation: how the condition is told.
        groups: of every norm.
        eps: beside the variance of every norm.
        dropout: share of the activations before the last convolution that training forgets.
        resample: how the sides change between levels: a convolution, or a residual block.
        padding: where halving by convolution sees zeros: on both sides, or after the image.
    """

    width: int
    modulation: Modulation
    groups: int
    eps: float
    dropout: float
    resample: Resample
    padding: Padding

    def norm(self, channels: int) -> nn.GroupNorm:
        """A norm of so many channels."""
        return nn.GroupNorm(self.groups, channels, eps=self.eps)


class Block(nn.Module):
    """A residual block, which may halve or double the image.

    Args:
        channels_in: of the input.
        channels: of the output.
        manner: of the network.
        resizing: what happens to the sides; None leaves them.
    """

    def __init__(
        self, channels_in: int, channels: int, manner: Manner, resizing: Resizing | None = None
    ) -> None:
        super().__init__()
        self.scales = manner.modulation == "scale_shift"
        self.norm1 = manner.norm(channels_in)
        self.resize = resizer(resizing)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.modulation = nn.Linear(manner.width, (1 + self.scales) * channels)
        self.norm2 = manner.norm(channels)
        self.dropout = nn.Dropout(manner.dropout) if manner.dropout else nn.Identity()
        self.conv2 = zeroed(nn.Conv2d(channels, channels, 3, padding=1))
        is_same = channels_in == channels
        self.skip = nn.Identity() if is_same else nn.Conv2d(channels_in, channels, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, channels_in, H, W) to (B, channels, H', W')."""
        h = self.conv1(self.resize(silu(self.norm1(x))))
        told = self.modulation(condition)[:, :, None, None]
        if self.scales:
            scale, shift = told.chunk(2, dim=1)
            h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        else:
            h = self.norm2(h + told)
        y: Tensor = self.skip(self.resize(x)) + self.conv2(self.dropout(silu(h)))
        return y


class Attention(nn.Module):
    """Self-attention among the pixels, as a residual.

    Args:
        channels: C.
        heads: they share the channels.
        manner: of the network.
    """

    def __init__(self, channels: int, heads: int, manner: Manner) -> None:
        super().__init__()
        self.norm = manner.norm(channels)
        self.attention = SelfAttention(channels, heads)
        zeroed(self.attention.out)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the same."""
        h: Tensor = self.attention(self.norm(x).flatten(2).transpose(1, 2))
        return x + h.transpose(1, 2).reshape(x.shape)


class Cell(nn.Module):
    """A block, and attention after it where a level has any.

    Args:
        channels_in: of the input.
        channels: of the output.
        heads: of the attention; 0 for none.
        manner: of the network.
    """

    def __init__(self, channels_in: int, channels: int, heads: int, manner: Manner) -> None:
        super().__init__()
        self.block = Block(channels_in, channels, manner)
        self.attention = attention_of(channels, heads, manner)

    def forward(self, x: Tensor, condition: Tensor, skip: Tensor | None = None) -> Tensor:
        """Maps (B, channels_in, H, W), with the channels of a skip, to (B, channels, H, W)."""
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        y: Tensor = self.attention(self.block(x, condition))
        return y


def attention_of(channels: int, heads: int, manner: Manner) -> nn.Module:
    """Attention of so many heads; the identity if there are 0."""
    return Attention(channels, heads, manner) if heads else nn.Identity()


def step(channels: int, resizing: Resizing, manner: Manner) -> nn.Module:
    """What changes the sides between two levels."""
    if manner.resample == "block":
        return Block(channels, channels, manner, resizing)
    return Convolved(channels, resizing, manner.padding)
