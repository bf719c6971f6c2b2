"""Rotary positions on a grid: what attention sees of two tokens is how far apart they are.

A head's vector is taken as pairs (a_k, b_k), and each pair is turned by an angle: half of the
pairs by row times w_k, the other half by column times w_k, with w_k = base^(-k/K), k = 0 .. K-1,
K = d / 4. A product of a query and a key then depends on the difference of their positions alone.

Shapes: q, k (B, heads, N, d); cosine, sine (N, d / 2).

References:
    Su et al., 2021, RoFormer (arXiv:2104.09864).
    Heo et al., 2024, Rotary Position Embedding for Vision Transformer (arXiv:2403.13298), for two
    axes and the base 100.
"""

import torch
from torch import Tensor, nn

BASE = 100.0
"""The slowest pair turns about once in 2 pi BASE tokens, more than any image has on a side."""


class AxialRotation(nn.Module):
    """Turns queries and keys by their places on a grid.

    Args:
        rows: of the grid.
        columns: of the grid.
        size: d, of a head; a multiple of 4.
        unplaced: tokens before those of the grid, which have no place and are not turned; nor are
            any more before these.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, rows: int, columns: int, size: int, *, unplaced: int = 0) -> None:
        super().__init__()
        quarter = size // 4
        frequency = BASE ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
        row = torch.arange(rows, dtype=torch.float64).repeat_interleave(columns)
        column = torch.arange(columns, dtype=torch.float64).repeat(rows)
        angle = torch.cat([row[:, None] * frequency, column[:, None] * frequency], dim=1)
        angle = torch.cat([angle.new_zeros(unplaced, size // 2), angle])
        self.register_buffer("cosine", angle.cos().float(), persistent=False)
        self.register_buffer("sine", angle.sin().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, heads, N, d) to the same, in the same dtype under autocast too."""
        more = x.shape[-2] - len(self.cosine)
        if more > 0:
            return torch.cat([x[..., :more, :], self(x[..., more:, :])], dim=-2)
        a, b = x.chunk(2, dim=-1)
        cosine, sine = self.cosine, self.sine
        turned = torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
        return turned.to(x.dtype)
