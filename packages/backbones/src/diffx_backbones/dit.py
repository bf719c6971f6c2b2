"""A transformer on the patches of an image, modulated by the condition (adaLN-zero).

Positions are added to the tokens as sinusoids, or turn queries and keys (`pe`). Registers are
learned tokens that belong to no patch: a place for what concerns the whole image; class tokens tell
the class there, besides the modulation. Context tokens, where the data have them, are read by
cross-attention in every block.

Shapes: x (B, C, H, W), h (B, R + N, width) with N = (H / patch) (W / patch) and R tokens of no
patch, condition (B, width).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from diffx_backbones.context import ContextTokens
from diffx_backbones.embedding import MAX_PERIOD, ClassTokens, ConditionEmbedding, Sinusoids
from diffx_backbones.initialisation import zeroed
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.patches import Patches
from diffx_backbones.positions import positions, wrong_width
from diffx_backbones.presets import SIZES, size_of
from diffx_backbones.recomputation import run
from diffx_backbones.refusal import negative, no_classes, not_an_image, refuse
from diffx_backbones.rotation import AxialRotation
from diffx_backbones.sizes import DITS, transformer_of
from diffx_backbones.transformer import Activation, Block, modulated
from diffx_core import (
    Condition,
    DataSpec,
    ExportedModel,
    ForeignWeights,
    ImportedModel,
    Sized,
    SizeName,
)


class DiT(nn.Module):
    """A diffusion transformer for images (C, H, W).

    Args:
        spec: of the data.
        preset: size and patch: tiny, small, S, B, L or XL, then a slash and the side of a patch.
        patch: side of a patch in pixels; H and W are multiples of it; of the preset if none.
        width: of a token; a multiple of 4 and of `heads`; of the preset if none.
        depth: number of blocks; of the preset if none.
        heads: of the attention; 64 of the width to a head is fastest; of the preset if none.
        mlp_ratio: width inside the MLP of a block, as a multiple of `width`.
        activation: inside the MLP; swiglu is gated, with as many parameters.
        pe: how positions are told: added (abs), or by turning queries and keys (rope).
        qk_norm: whether queries and keys are normalised, which keeps large networks stable.
        registers: number of learned tokens besides the patches.
        class_tokens: number of tokens that tell the class besides the modulation (in context).
        checkpointing: whether training recomputes each block on the way back, which saves most of
            the memory, for steps about one and a half times as long.
        noise_features: sinusoids of the noise label; 256 as published.
        noise_period: which the slowest of them comes near.
        noise_scale: what noise labels are multiplied by before that.

    References:
        Peebles and Xie, 2022, Scalable Diffusion Models with Transformers (arXiv:2212.09748).
        Darcet et al., 2023, Vision Transformers Need Registers (arXiv:2309.16588).
        Li and He, 2025, Back to Basics (arXiv:2511.13720), for class tokens.
    """

    position: Tensor | None

    @classmethod
    def sized(cls, size: SizeName, spec: DataSpec) -> Sized:
        """What makes a network of a size for images of a shape."""
        return transformer_of(DITS, size, spec)

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
        activation: Activation = "silu",
        pe: Literal["abs", "rope"] = "abs",
        qk_norm: bool = False,
        registers: int = 0,
        class_tokens: int = 0,
        checkpointing: bool = False,
        noise_features: int = 64,
        noise_period: float = MAX_PERIOD,
        noise_scale: float = 1.0,
    ) -> None:
        size = size_of(preset, SIZES, patch=patch, width=width, depth=depth, heads=heads)
        patch, width, depth, heads = size
        is_turned = pe == "rope"
        sinusoids = Sinusoids(noise_features, noise_period, noise_scale)
        refuse(
            not_an_image("dit", spec)
            + size.problems(spec, mlp_ratio=mlp_ratio, is_turned=is_turned)
            + ([] if is_turned else wrong_width(width))
            + negative(registers=registers, class_tokens=class_tokens)
            + no_classes("class_tokens", class_tokens, spec)
            + sinusoids.problems()
        )
        super().__init__()
        self.checkpointing, self.is_paired = checkpointing, spec.paired
        self.grid = grid = Patches.of(spec, patch)
        self.unplaced = class_tokens + registers
        added = None if is_turned else positions(grid.rows, grid.columns, width)
        self.register_buffer("position", added, persistent=False)
        turning = partial(AxialRotation, grid.rows, grid.columns, unplaced=self.unplaced)
        self.rotation = turning(width // heads) if is_turned else None
        drawn = torch.randn(1, registers, width)
        self.registers = nn.Parameter(0.02 * drawn) if registers else None
        self.class_tokens = ClassTokens.of(spec, class_tokens, width)
        self.condition = ConditionEmbedding(width, spec.num_classes, sinusoids)
        self.context = None if spec.context is None else ContextTokens(spec.context)
        self.stem = nn.Linear(read_channels(spec) * patch**2, width)
        block = partial(Block, activation=activation, qk_norm=qk_norm, context=spec.context)
        self.blocks = nn.ModuleList(block(width, heads, mlp_ratio * width) for _ in range(depth))
        self.modulation = zeroed(nn.Linear(width, 2 * width))
        self.out = zeroed(nn.Linear(width, grid.size))

    @classmethod
    def import_weights(cls, foreign: ForeignWeights) -> ImportedModel:
        """The weights of DiT or SiT as published, or of a DiTTransformer2DModel of diffusers.

        Raises:
            ConfigError: something has to be told besides, or was told and is not so.
            CheckpointError: they are of another network; the message says where.
        """
        from diffx_backbones.imports.dit import import_dit

        return import_dit(cls, foreign)

    @classmethod
    def export_weights(
        cls, spec: DataSpec, options: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> ExportedModel:
        """The same network as a DiTTransformer2DModel of diffusers.

        Raises:
            ConfigError: diffusers has none that is the same.
        """
        from diffx_backbones.exports.dit import export_dit

        return export_dit(spec, options, weights)

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        through = partial(run, recomputed=self.checkpointing and self.training)
        condition = self.condition(noise_label, cond)
        told = None if self.context is None else self.context(x, cond)
        h = self._tokens(x, cond)
        for block in self.blocks:
            h = through(block, h, condition, self.rotation, told)
        h = h[:, self.unplaced :]
        scale, shift = self.modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        return self.grid.joined(self.out(modulated(h, scale, shift)))

    def _tokens(self, x: Tensor, cond: Condition) -> Tensor:
        h: Tensor = self.stem(self.grid.cut(beside(x, cond, is_paired=self.is_paired)))
        if self.position is not None:
            h = h + self.position
        unplaced = [] if self.class_tokens is None else [self.class_tokens(cond.label)]
        unplaced += [] if self.registers is None else [self.registers]
        first = [one.to(h.dtype).expand(h.shape[0], -1, -1) for one in unplaced]
        return torch.cat([*first, h], dim=1) if first else h
