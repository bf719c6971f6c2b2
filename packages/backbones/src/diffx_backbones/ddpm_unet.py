"""The U-Net of DDPM and ADM as it was published, which takes the weights that were published.

Each level has one block more on the way up than on the way down, and every block on the way up
reads one skip: of a block, of a step between levels, or of the first convolution. `unet` is the
same idea with fewer parts.

Shapes: x (B, C, H, W), h (B, channels[level], H / 2^level, W / 2^level), condition (B, width).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import silu

from diffx_backbones.ddpm_blocks import (
    Block,
    Cell,
    Manner,
    Modulation,
    Resample,
    attention_of,
    step,
)
from diffx_backbones.ddpm_plan import DDPMPlan
from diffx_backbones.ddpm_resizing import Padding
from diffx_backbones.embedding import MAX_PERIOD, ConditionEmbedding, Sinusoids
from diffx_backbones.initialisation import zeroed
from diffx_backbones.levels import Stage
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.recomputation import run
from diffx_backbones.refusal import refuse
from diffx_core import Condition, DataSpec, ExportedModel, ForeignWeights, ImportedModel


class DDPMUNet(nn.Module):
    """The published U-Net for images (C, H, W), for weights from elsewhere.

    Args:
        spec: of the data.
        channels: of each level; every level has half the side of the one before it.
        blocks: residual blocks per level on the way down; there is one more on the way up.
        attention: levels whose blocks end in self-attention, as does the middle.
        heads: of the attention.
        head_width: channels of a head; told instead of `heads`.
        middle_attention: whether there is attention in the middle.
        resample: how the sides change between levels: a convolution, or a residual block.
        padding: where halving by convolution sees zeros: on both sides, or after the image.
        modulation: how blocks are told the condition: added, or as scale and shift.
        norm_groups: of every norm.
        norm_eps: beside the variance of every norm.
        dropout: share of the activations inside a block that training forgets.
        noise_features: sinusoids of the noise label, a quarter of the width of the condition; the
            channels of level 0 if none.
        noise_period: which the slowest of them comes near.
        checkpointing: whether training recomputes each block on the way back, which saves most of
            the memory, for steps about one and a half times as long.

    References:
        Ho, Jain and Abbeel, 2020, Denoising Diffusion Probabilistic Models (arXiv:2006.11239).
        Dhariwal and Nichol, 2021, Diffusion Models Beat GANs (arXiv:2105.05233).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: tuple[int, ...] = (32, 64),
        blocks: int = 1,
        attention: tuple[int, ...] = (1,),
        heads: int = 1,
        head_width: int | None = None,
        middle_attention: bool = True,
        resample: Resample = "conv",
        padding: Padding = "both",
        modulation: Modulation = "shift",
        norm_groups: int = 32,
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
        noise_features: int | None = None,
        noise_period: float = MAX_PERIOD,
        checkpointing: bool = False,
    ) -> None:
        sinusoids = Sinusoids(noise_features or sum(channels[:1]), noise_period)
        plan = DDPMPlan(
            channels=channels,
            blocks=blocks,
            attention=attention,
            heads=heads,
            head_width=head_width,
            middle_attention=middle_attention,
            norm_groups=norm_groups,
            norm_eps=norm_eps,
            dropout=dropout,
            sinusoids=sinusoids,
        )
        refuse(plan.problems(spec))
        super().__init__()
        self.checkpointing, self.is_paired = checkpointing, spec.paired
        width = 4 * sinusoids.features
        manner = Manner(width, modulation, norm_groups, norm_eps, dropout, resample, padding)
        self.condition = ConditionEmbedding(width, spec.num_classes, sinusoids)
        self.stem = nn.Conv2d(read_channels(spec), channels[0], 3, padding=1)
        self.down = _cells(plan.way_down(), manner)
        self.fall = nn.ModuleList(step(one, "halve", manner) for one in channels[:-1])
        middle = plan.middle()
        self.middle = nn.ModuleList(Block(middle.before, middle.channels, manner) for _ in range(2))
        self.middle_attention = attention_of(middle.channels, middle.heads, manner)
        self.up = _cells(plan.way_up(), manner)
        self.rise = nn.ModuleList(step(one, "double", manner) for one in channels[:0:-1])
        self.norm = manner.norm(channels[0])
        self.out = zeroed(nn.Conv2d(channels[0], spec.shape[0], 3, padding=1))

    @classmethod
    def import_weights(cls, foreign: ForeignWeights) -> ImportedModel:
        """The weights of guided-diffusion, or of a UNet2DModel of diffusers.

        Raises:
            CheckpointError: they are of another network; the message says where.
        """
        from diffx_backbones.imports.ddpm_unet import import_ddpm_unet

        return import_ddpm_unet(cls, foreign)

    @classmethod
    def export_weights(
        cls, spec: DataSpec, options: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> ExportedModel:
        """The same network as a UNet2DModel of diffusers.

        Raises:
            ConfigError: diffusers has none that is the same.
        """
        from diffx_backbones.exports.unet2d import export_unet2d

        return export_unet2d(spec, options, weights)

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        through = partial(run, recomputed=self.checkpointing and self.training)
        condition = self.condition(noise_label, cond)
        h: Tensor = self.stem(beside(x, cond, is_paired=self.is_paired))
        skips = [h]
        for i, level in enumerate(self.down):
            assert isinstance(level, nn.ModuleList)
            for cell in level:
                h = through(cell, h, condition)
                skips.append(h)
            if i < len(self.fall):
                h = through(self.fall[i], h, condition)
                skips.append(h)
        first, second = self.middle
        h = through(self.middle_attention, through(first, h, condition))
        h = through(second, h, condition)
        for i, level in enumerate(self.up):
            assert isinstance(level, nn.ModuleList)
            for cell in level:
                h = through(cell, h, condition, skips.pop())
            if i < len(self.rise):
                h = through(self.rise[i], h, condition)
        y: Tensor = self.out(silu(self.norm(h)))
        return y


def _cells(levels: list[list[Stage]], manner: Manner) -> nn.ModuleList:
    """The cells of each level in one direction."""
    return nn.ModuleList(
        nn.ModuleList(
            Cell(one.before + one.reads, one.channels, one.heads, manner) for one in level
        )
        for level in levels
    )
