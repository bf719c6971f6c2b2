"""Context: tokens about an example, such as those of a text, read by cross-attention.

    h <- h + W attention(q = norm(h), k, v = context),   W = 0 at first

Before the tokens of an example stands one that is learned and always there: it is all that is left
when an example is told nothing, so that attention is never empty.

Shapes: context (B, L, D), mask (B, L), h (B, N, width).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from diffx_backbones.attention import HeadNorm, attend
from diffx_backbones.initialisation import zeroed
from diffx_core import Condition


class Told(NamedTuple):
    """What blocks read."""

    tokens: Tensor
    """(B, 1 + L, D)"""
    mask: Tensor
    """(B, 1, 1, 1 + L), true where a token is there."""


class ContextTokens(nn.Module):
    """The tokens of a condition, after one that is learned.

    Args:
        size: D, of a token.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.untold = nn.Parameter(0.02 * torch.randn(1, 1, size))

    def forward(self, x: Tensor, cond: Condition) -> Told:
        """What the examples x (B, *) are told."""
        first = self.untold.to(x.dtype).expand(x.shape[0], -1, -1)
        if cond.context is None or cond.mask is None:
            return Told(first, torch.ones_like(first[:, :, :1], dtype=torch.bool)[:, None])
        # a masked token may hold anything, and nothing times infinity is not nothing
        context = cond.context.to(x.dtype).masked_fill(~cond.mask[..., None], 0.0)
        mask = pad(cond.mask, (1, 0), value=True)
        return Told(torch.cat([first, context], dim=1), mask[:, None, None])


class CrossAttention(nn.Module):
    """Tokens of the image ask those of the context, as a residual.

    Args:
        width: of a token of the image.
        heads: of the attention.
        size: D, of a token of the context.
        qk_norm: whether queries and keys are normalised.
    """

    def __init__(self, width: int, heads: int, size: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(size, 2 * width)
        self.out = zeroed(nn.Linear(width, width))
        self.q_norm = HeadNorm(width // heads) if qk_norm else nn.Identity()
        self.k_norm = HeadNorm(width // heads) if qk_norm else nn.Identity()

    def forward(self, h: Tensor, told: Told) -> Tensor:
        """Maps (B, N, width) to the same."""
        q = self._split(self.q(layer_norm(h, h.shape[-1:])))
        k, v = map(self._split, self.kv(told.tokens).chunk(2, dim=-1))
        y = attend(self.q_norm(q), self.k_norm(k), v, told.mask)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return h + out

    def _split(self, x: Tensor) -> Tensor:
        B, L, D = x.shape
        return x.view(B, L, self.heads, D // self.heads).transpose(1, 2)
