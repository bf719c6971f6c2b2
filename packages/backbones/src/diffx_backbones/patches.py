"""Images as grids of patches, one token each.

Shapes: x (B, C, H, W), tokens (B, N, C side^2) with N = rows * columns.
"""

from typing import Self

from attrs import frozen
from einops import rearrange
from torch import Tensor

from diffx_core import DataSpec


@frozen
class Patches:
    """A grid of square patches.

    Args:
        rows: of patches in an image.
        columns: of patches in an image.
        side: of a patch in pixels.
        size: numbers in a patch.
    """

    rows: int
    columns: int
    side: int
    size: int

    @classmethod
    def of(cls, spec: DataSpec, side: int) -> Self:
        """The patches of images (C, H, W) whose sides are multiples of `side`."""
        C, H, W = spec.shape
        return cls(H // side, W // side, side, C * side**2)

    def cut(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, N, C side^2)."""
        rows, p = self.rows, self.side
        tokens: Tensor = rearrange(x, "b c (r p) (s q) -> b (r s) (c p q)", r=rows, p=p, q=p)
        return tokens

    def joined(self, tokens: Tensor) -> Tensor:
        """Maps (B, N, C side^2) to (B, C, H, W)."""
        rows, p = self.rows, self.side
        x: Tensor = rearrange(tokens, "b (r s) (c p q) -> b c (r p) (s q)", r=rows, p=p, q=p)
        return x
