"""How the U-Nets of DDPM and ADM halve and double their images.

Shapes: x (B, C, H, W).
"""

from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

Padding: TypeAlias = Literal["both", "after"]
Resizing: TypeAlias = Literal["halve", "double"]


class Double(nn.Module):
    """An image of twice the sides, by repetition."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, 2H, 2W)."""
        return interpolate(x, scale_factor=2.0, mode="nearest")


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
