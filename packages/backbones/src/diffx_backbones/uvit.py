"""A transformer in which all is a token, with long skips from the first half to the second (U-ViT).

    block:  h <- h + attention(norm(h)),  h <- h + mlp(norm(h))
    skip:   h <- W (h, s) before each block of the second half, s from its mirror in the first

The noise level and the class are tokens before those of the patches, so that nothing is modulated;
so are context tokens, where the data have them.

Shapes: x (B, C, H, W), h (B, E + N, width) with N = (H / patch) (W / patch) and E tokens of the
condition.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from diffx_backbones.attention import SelfAttention
from diffx_backbones.context import ContextTokens
from diffx_backbones.embedding import ClassEmbedding, NoiseEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.patches import Patches
from diffx_backbones.presets import UVIT_SIZES, size_of
from diffx_backbones.recomputation import run
from diffx_backbones.refusal import not_an_image, refuse
from diffx_backbones.rotation import AxialRotation
from diffx_backbones.sizes import UVITS, transformer_of
from diffx_backbones.transformer import Activation, FeedForward
from diffx_core import Condition, DataSpec, Sized, SizeName


class Block(nn.Module):
    """Attention and an MLP on normalised tokens, as residuals.

    Args:
        width: of a token.
        heads: of the attention.
        hidden: width inside the MLP.
        activation: inside the MLP.
        qk_norm: whether the attention normalises queries and keys.
        merges: whether a skip is read besides the tokens.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation,
        qk_norm: bool,
        merges: bool,
    ) -> None:
        super().__init__()
        self.merge = nn.Linear(2 * width, width) if merges else None
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, qk_norm=qk_norm)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, hidden, activation)

    def forward(
        self,
        h: Tensor,
        skip: Tensor | None,
        rotation: nn.Module | None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Maps (B, E + N, width) to the same."""
        if self.merge is not None and skip is not None:
            h = self.merge(torch.cat([h, skip], dim=-1))
        h = h + self.attention(self.norm1(h), rotation, mask)
        y: Tensor = h + self.mlp(self.norm2(h))
        return y


class UViT(nn.Module):
    """A transformer with long skips for images (C, H, W).

    Args:
        spec: of the data.
        preset: size and patch: tiny, small, S, M, L or H, then a slash and the side of a patch.
        patch: side of a patch in pixels; H and W are multiples of it; of the preset if none.
        width: of a token; a multiple of `heads`; of the preset if none.
        depth: number of blocks, odd: as many on either side of the middle; of the preset if none.
        heads: of the attention; 64 of the width to a head is fastest; of the preset if none.
        mlp_ratio: width inside the MLP of a block, as a multiple of `width`.
        activation: inside the MLP; swiglu is gated, with as many parameters.
        pe: how positions are told: learned and added, or by turning queries and keys (rope).
        qk_norm: whether queries and keys are normalised, which keeps large networks stable.
        checkpointing: whether training recomputes each block on the way back, which saves most of
            the memory, for steps about one and a half times as long.

    References:
        Bao et al., 2022, All are Worth Words (arXiv:2209.12152).
    """

    @classmethod
    def sized(cls, size: SizeName, spec: DataSpec) -> Sized:
        """What makes a network of a size for images of a shape."""
        return transformer_of(UVITS, size, spec)

    def __init__(
        self,
        spec: DataSpec,
        *,
        preset: str = "tiny/4",
        patch: int | None = None,
        width: int | None = None,
        depth: int | None = None,
        heads: int | None = None,
        mlp_ratio: int = 4,
        activation: Activation = "gelu",
        pe: Literal["learned", "rope"] = "learned",
        qk_norm: bool = False,
        checkpointing: bool = False,
    ) -> None:
        size = size_of(preset, UVIT_SIZES, patch=patch, width=width, depth=depth, heads=heads)
        patch, width, depth, heads = size
        is_turned = pe == "rope"
        refuse(
            not_an_image("uvit", spec)
            + size.problems(spec, mlp_ratio=mlp_ratio, is_turned=is_turned)
            + ([] if depth % 2 else [f"depth must be odd, for a middle, got {depth}"])
        )
        super().__init__()
        self.checkpointing = checkpointing
        self.grid = grid = Patches.of(spec, patch)
        self.told = 1 if spec.num_classes is None else 2
        self.noise = NoiseEmbedding(width)
        self.classes = None if spec.num_classes is None else ClassEmbedding(spec.num_classes, width)
        self.rotation = (
            AxialRotation(grid.rows, grid.columns, width // heads, unplaced=self.told)
            if is_turned
            else None
        )
        tokens = self.told + grid.rows * grid.columns
        self.position = None if is_turned else nn.Parameter(0.02 * torch.randn(1, tokens, width))
        self.context = None if spec.context is None else ContextTokens(spec.context)
        self.read = None if spec.context is None else nn.Linear(spec.context, width)
        self.is_paired = spec.paired
        self.stem = nn.Linear(read_channels(spec) * patch**2, width)
        block = partial(Block, activation=activation, qk_norm=qk_norm)
        self.blocks = nn.ModuleList(
            block(width, heads, mlp_ratio * width, merges=i > depth // 2) for i in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.patches = nn.Linear(width, grid.size)
        self.out = zeroed(nn.Conv2d(spec.shape[0], spec.shape[0], 3, padding=1))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        through = partial(run, recomputed=self.checkpointing and self.training)
        h = self._tokens(x, noise_label, cond)
        mask = None
        if self.context is not None and self.read is not None:
            tokens, there = self.context(x, cond)
            mask = pad(there, (0, h.shape[1]), value=True)
            h = torch.cat([self.read(tokens).to(h.dtype), h], dim=1)
        half = len(self.blocks) // 2
        skips: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            skip = skips.pop() if i > half else None
            h = through(block, h, skip, self.rotation, mask)
            if i < half:
                skips.append(h)
        h = self.patches(self.norm(h[:, -self.grid.rows * self.grid.columns :]))
        y: Tensor = self.out(self.grid.joined(h))
        return y

    def _tokens(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        h = self.stem(self.grid.cut(beside(x, cond, is_paired=self.is_paired)))
        told = [self.noise(noise_label)]
        if self.classes is not None:
            told.append(self.classes(cond.label).expand(x.shape[0], -1))
        h = torch.cat([*(one.unsqueeze(1).to(h.dtype) for one in told), h], dim=1)
        return h if self.position is None else h + self.position
