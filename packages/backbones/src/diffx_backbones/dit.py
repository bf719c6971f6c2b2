"""A transformer on the patches of an image, modulated by the condition (adaLN-zero).

    block:  h <- h + gate1 * attention((1 + scale1) norm(h) + shift1)
            h <- h + gate2 * mlp((1 + scale2) norm(h) + shift2)

The scales, shifts and gates are linear in the condition and zero at first, so that a new block is
the identity.

Shapes: x (B, C, H, W), h (B, N, width) with N = (H / patch) (W / patch), condition (B, width).
"""

import torch
from einops import rearrange
from timm.layers.mlp import Mlp
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from diffx_backbones.attention import SelfAttention
from diffx_backbones.embedding import ConditionEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.refusal import (
    non_positive,
    not_an_image,
    not_divisible,
    refuse,
    sides_not_divisible,
)
from diffx_core import Condition, DataSpec


def modulated(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Layer-normalised tokens, scaled by 1 + (B, 1, width) and shifted."""
    return torch.addcmul(shift, layer_norm(h, h.shape[-1:]), 1 + scale)


class Block(nn.Module):
    """Attention and an MLP, each scaled, shifted and gated by the condition.

    Args:
        width: of a token.
        heads: of the attention.
        hidden: width inside the MLP.
        qk_norm: whether the attention normalises queries and keys.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.modulation = zeroed(nn.Linear(width, 6 * width))
        self.attention = SelfAttention(width, heads, qk_norm=qk_norm)
        self.mlp = Mlp(width, hidden, act_layer=nn.SiLU)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, N, width) to (B, N, width)."""
        modulation = self.modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        scale1, shift1, gate1, scale2, shift2, gate2 = modulation
        h = torch.addcmul(h, gate1, self.attention(modulated(h, scale1, shift1)))
        return torch.addcmul(h, gate2, self.mlp(modulated(h, scale2, shift2)))


class DiT(nn.Module):
    """A diffusion transformer for images (C, H, W).

    Args:
        spec: of the data.
        patch: side of a patch in pixels; H and W are multiples of it.
        width: of a token; a multiple of 4 and of `heads`.
        depth: number of blocks.
        heads: of the attention; 64 of the width to a head is fastest.
        mlp_ratio: width inside the MLP of a block, as a multiple of `width`.
        qk_norm: whether queries and keys are normalised, which keeps large networks stable.

    References:
        Peebles and Xie, 2022, Scalable Diffusion Models with Transformers (arXiv:2212.09748).
    """

    position: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        patch: int = 4,
        width: int = 128,
        depth: int = 3,
        heads: int = 2,
        mlp_ratio: int = 4,
        qk_norm: bool = False,
    ) -> None:
        refuse(
            not_an_image("dit", spec)
            + non_positive(patch=patch, width=width, depth=depth, heads=heads, mlp_ratio=mlp_ratio)
            + sides_not_divisible(spec, patch, "the side of a patch")
            + not_divisible("width", width, heads, "the number of heads")
            + not_divisible("width", width, 4, "which the position embedding needs")
        )
        super().__init__()
        C, H, W = spec.shape
        self.patch = patch
        self.grid = (H // patch, W // patch)
        position = build_sincos2d_pos_embed(list(self.grid), dim=width)
        self.register_buffer("position", position, persistent=False)
        self.condition = ConditionEmbedding(width, spec.num_classes)
        self.stem = nn.Linear(C * patch**2, width)
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_ratio * width, qk_norm=qk_norm) for _ in range(depth)
        )
        self.modulation = zeroed(nn.Linear(width, 2 * width))
        self.out = zeroed(nn.Linear(width, C * patch**2))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        condition = self.condition(noise_label, cond)
        rows, columns = self.grid
        patches = rearrange(
            x, "b c (r p) (s q) -> b (r s) (c p q)", r=rows, s=columns, p=self.patch, q=self.patch
        )
        h = self.stem(patches) + self.position
        for block in self.blocks:
            h = block(h, condition)
        scale, shift = self.modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        y: Tensor = self.out(modulated(h, scale, shift))
        p = self.patch
        return rearrange(y, "b (r s) (c p q) -> b c (r p) (s q)", r=rows, p=p, q=p)
