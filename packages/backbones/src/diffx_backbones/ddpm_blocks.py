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
from torch.nn.functional import interpolate, pad, silu

from diffx_backbones.attention import SelfAttention
from diffx_backbones.initialisation import zeroed

Modulation: TypeAlias = Literal["shift", "scale_shift"]
Padding: TypeAlias = Literal["both", "after"]
Resizing: TypeAlias = Literal["halve", "double"]


@frozen(kw_only=True)
class Manner:
    """What all blocks of a network have in common.

    Args:
        width: D, of the condition.
        modulation: how the condition is told.
        groups: of every norm.
        eps: beside the variance of every norm.
        dropout: share of the activations before the last convolution that training forgets.
    """

    width: int
    modulation: Modulation
    groups: int
    eps: float
    dropout: float

    def norm(self, channels: int) -> nn.GroupNorm:
        """A norm of so many channels."""
        return nn.GroupNorm(self.groups, channels, eps=self.eps)


class Double(nn.Module):
    """An image of twice the sides, by repetition."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, 2H, 2W)."""
        return interpolate(x, scale_factor=2.0, mode="nearest")


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
        self.attention = Attention(channels, heads, manner) if heads else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor, skip: Tensor | None = None) -> Tensor:
        """Maps (B, channels_in, H, W), with the channels of a skip, to (B, channels, H, W)."""
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        y: Tensor = self.attention(self.block(x, condition))
        return y


class Convolved(nn.Module):
    """A convolution that halves the image, or one after doubling it.

    Args:
        channels: C.
        resizing: which.
        padding: whether halving sees zeros on both sides of the image, or only after it.
    """

    def __init__(self, channels: int, resizing: Resizing, padding: Padding) -> None:
        super().__init__()
        halves = resizing == "halve"
        self.after = halves and padding == "after"
        self.resize = nn.Identity() if halves else Double()
        self.conv = nn.Conv2d(
            channels, channels, 3, stride=2 if halves else 1, padding=0 if self.after else 1
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, H', W'); the condition is not read."""
        del condition
        y: Tensor = self.conv(pad(x, (0, 1, 0, 1)) if self.after else self.resize(x))
        return y


def resizer(resizing: Resizing | None) -> nn.Module:
    """What changes the sides of an image without weights."""
    if resizing is None:
        return nn.Identity()
    return nn.AvgPool2d(2) if resizing == "halve" else Double()
