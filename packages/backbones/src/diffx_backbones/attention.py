"""Self-attention among the tokens of one example: softmax(q k^T / sqrt(d)) v, head by head.

Shapes: tokens (B, N, D); q, k, v (B, heads, N, d) with D = heads * d.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention

SHORT = 1024
"""Tokens up to which plain products were measured to beat the fused kernel on a CPU in bf16: 1.2 to
2.7 times forward, mostly 1.5 to 7 times in training. In float32 the fused kernel is no slower."""


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """The attention of (B, heads, N, d) tensors, in the form that is faster where they are.

    Args:
        q: what asks.
        k: what is asked.
        v: what is answered.
        mask: true where a key is there, as (B, 1, 1, L); at least one of each example is.
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[-2] <= SHORT:
        score = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if mask is not None:
            score = score.masked_fill(~mask, -torch.inf)
        return torch.softmax(score, dim=-1).to(v.dtype) @ v
    return scaled_dot_product_attention(q, k, v, attn_mask=mask)


class HeadNorm(nn.Module):
    """Each head's vector at unit root mean square, times a learned weight.

    Args:
        size: d, of a head.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, heads, N, d) to the same, in the same dtype under autocast too."""
        return rms_norm(x, self.weight.shape, self.weight.to(x.dtype))


class SelfAttention(nn.Module):
    """Multi-head self-attention with its projections.

    Args:
        width: D, of a token.
        heads: they share the width; 64 to a head is fastest.
        qk_norm: whether queries and keys are normalised to unit RMS, which keeps large networks
            stable in bf16.

    References:
        Henry et al., 2020, Query-Key Normalization (arXiv:2010.04245).
    """

    def __init__(self, width: int, heads: int, *, qk_norm: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.q_norm = HeadNorm(width // heads) if qk_norm else nn.Identity()
        self.k_norm = HeadNorm(width // heads) if qk_norm else nn.Identity()

    def forward(
        self, x: Tensor, rotation: nn.Module | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Maps (B, N, D) to (B, N, D).

        Args:
            x: the tokens.
            rotation: turns queries and keys by their places.
            mask: (B, 1, 1, N), true for tokens that are there; all are if None.
        """
        B, N, D = x.shape
        qkv = self.qkv(x).view(B, N, 3, self.heads, D // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotation(q), rotation(k)
        h = attend(q, k, v, mask)
        y: Tensor = self.out(h.transpose(1, 2).reshape(B, N, D))
        return y
