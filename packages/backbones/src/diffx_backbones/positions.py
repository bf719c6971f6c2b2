"""Where patches are in their image, as vectors that are added to them."""

import torch
from torch import Tensor

from diffx_backbones.refusal import not_divisible

LONGEST = 10000.0
"""The wavelengths are from 2 pi to nearly 2 pi times this."""


def positions(rows: int, columns: int, width: int) -> Tensor:
    """Sinusoids (rows columns, width) of the places in a grid.

    A quarter of the width each for sin and cos of the column and sin and cos of the row, as in the
    published networks, whose weights rely on it.
    """
    bands = 1 / LONGEST ** (torch.arange(width // 4, dtype=torch.float32) / (width // 4))
    row, column = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).unbind(1)
    angles = torch.stack([column, row], dim=1).unsqueeze(2) * bands
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def wrong_width(width: int) -> list[str]:
    """A problem if there are no such sinusoids of a width."""
    return not_divisible("width", width, 4, "which sines of positions need")
