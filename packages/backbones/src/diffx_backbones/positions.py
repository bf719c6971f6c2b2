"""Where patches are in their image, as vectors that are added to them."""

from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from torch import Tensor

from diffx_backbones.refusal import not_divisible


def positions(rows: int, columns: int, width: int) -> Tensor:
    """Sinusoids (rows columns, width) of the places in a grid.

    A quarter of the width each for sin and cos of the column and sin and cos of the row, as in the
    published networks, whose weights rely on it.
    """
    by_angle = build_sincos2d_pos_embed([rows, columns], dim=width).unflatten(1, (2, 2, -1))
    position: Tensor = by_angle.flip(2).transpose(1, 2).flatten(1)
    return position


def wrong_width(width: int) -> list[str]:
    """A problem if there are no such sinusoids of a width."""
    return not_divisible("width", width, 4, "which sines of positions need")
