"""The block of a transformer that is modulated by the condition (adaLN-zero), and its layers.

    h <- h + gate1 * attention((1 + scale1) norm(h) + shift1)
    h <- h + gate2 * mlp((1 + scale2) norm(h) + shift2)

The scales, shifts and gates are linear in the condition and zero at first, so that a new block is
the identity.

Shapes: h (B, N, width), condition (B, width).
"""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from diffx_backbones.attention import SelfAttention
from diffx_backbones.context import CrossAttention, Told
from diffx_backbones.initialisation import zeroed

Activation: TypeAlias = Literal["silu", "gelu", "swiglu"]
EPS = 1e-6
"""Beside the variance of a norm, as published."""
GATED_SHARE = 2 / 3
"""A gated MLP has three matrices for two, so this share of the width has as many parameters."""


def modulated(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Layer-normalised tokens, scaled by 1 + (B, 1, width) and shifted, in the dtype of the scale.

    Under autocast that is half as many bytes to keep for the way back; the tokens between blocks
    stay as they are.
    """
    normed = layer_norm(h, h.shape[-1:], eps=EPS).to(scale.dtype)
    return torch.addcmul(shift, normed, 1 + scale)


class FeedForward(nn.Module):
    """The MLP of a block, with about 2 * width * hidden weights whatever the activation.

        plain: fc2(act(fc1(h)))          gated: fc2(silu(a) * b),  a, b = fc1(h)

    Its own, and not timm's equal one, which takes longer to import than torch.

    Args:
        width: of a token.
        hidden: width inside; a gated one has 2/3 of it, as a multiple of 8.
        activation: between the layers; swiglu is gated.

    References:
        Shazeer, 2020, GLU Variants Improve Transformer (arXiv:2002.05202).
    """

    def __init__(self, width: int, hidden: int, activation: Activation) -> None:
        super().__init__()
        self.is_gated = activation == "swiglu"
        if self.is_gated:
            hidden = 8 * max(1, round(GATED_SHARE * hidden / 8))
        self.fc1 = nn.Linear(width, 2 * hidden if self.is_gated else hidden)
        self.act = nn.GELU("tanh") if activation == "gelu" else nn.SiLU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        """Each token (B, N, width) by itself."""
        h = self.fc1(h)
        if self.is_gated:
            gate, h = h.chunk(2, dim=-1)
            h = self.act(gate) * h
        else:
            h = self.act(h)
        y: Tensor = self.fc2(h)
        return y


class Block(nn.Module):
    """Attention and an MLP, each scaled, shifted and gated by the condition.

    Args:
        width: of a token.
        heads: of the attention.
        hidden: width inside the MLP.
        activation: inside the MLP.
        qk_norm: whether the attention normalises queries and keys.
        context: of a token of the context, read between attention and MLP; None if there is none.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation = "silu",
        qk_norm: bool = False,
        context: int | None = None,
    ) -> None:
        super().__init__()
        self.modulation = zeroed(nn.Linear(width, 6 * width))
        self.attention = SelfAttention(width, heads, qk_norm=qk_norm)
        self.cross = (
            None if context is None else CrossAttention(width, heads, context, qk_norm=qk_norm)
        )
        self.mlp = FeedForward(width, hidden, activation)

    def forward(
        self,
        h: Tensor,
        condition: Tensor,
        rotation: nn.Module | None = None,
        told: Told | None = None,
    ) -> Tensor:
        """Maps (B, N, width) to (B, N, width)."""
        modulation = self.modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        scale1, shift1, gate1, scale2, shift2, gate2 = modulation
        attended = self.attention(modulated(h, scale1, shift1), rotation)
        h = torch.addcmul(h, gate1, attended)
        if self.cross is not None and told is not None:
            h = self.cross(h, told)
        return torch.addcmul(h, gate2, self.mlp(modulated(h, scale2, shift2)))
