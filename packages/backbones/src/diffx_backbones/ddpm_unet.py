"""The U-Net of DDPM and ADM as it was published, which takes the weights that were published.

Each level has one block more on the way up than on the way down, and every block on the way up
reads one skip: of a block, of a step between levels, or of the first convolution. `unet` is the
same idea with fewer parts.

Shapes: x (B, C, H, W), h (B, channels[level], H / 2^level, W / 2^level), condition (B, width).
"""

from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import silu

from diffx_backbones.ddpm_blocks import (
    Attention,
    Block,
    Cell,
    Convolved,
    Manner,
    Modulation,
    Padding,
    Resizing,
)
from diffx_backbones.ddpm_plan import DDPMPlan
from diffx_backbones.embedding import MAX_PERIOD, ConditionEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.recomputation import run
from diffx_backbones.refusal import refuse
from diffx_core import Condition, DataSpec, ForeignWeights, ImportedModel


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
        resample: Literal["conv", "block"] = "conv",
        padding: Padding = "both",
        modulation: Modulation = "shift",
        norm_groups: int = 32,
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
        noise_features: int | None = None,
        noise_period: float = MAX_PERIOD,
        checkpointing: bool = False,
    ) -> None:
        plan = DDPMPlan(
            channels=channels,
            blocks=blocks,
            attention=attention,
            heads=heads,
            head_width=head_width,
            middle_attention=middle_attention,
            groups=norm_groups,
            eps=norm_eps,
            dropout=dropout,
            features=noise_features or (channels[0] if channels else 0),
            period=noise_period,
        )
        refuse(plan.problems(spec))
        super().__init__()
        self.checkpointing = checkpointing
        width, last = 4 * plan.features, plan.levels[-1]
        manner = Manner(
            width=width, modulation=modulation, groups=norm_groups, eps=norm_eps, dropout=dropout
        )
        step = partial(_step, resample=resample, padding=padding, manner=manner)
        skips = plan.skips()

        self.condition = ConditionEmbedding(
            width, spec.num_classes, num_features=plan.features, period=noise_period
        )
        self.is_paired = spec.paired
        self.stem = nn.Conv2d(read_channels(spec), channels[0], 3, padding=1)
        self.down = nn.ModuleList(
            _level(plan, manner, level, channels[max(0, level - 1)], [0] * blocks)
            for level in plan.levels
        )
        self.fall = nn.ModuleList(step(channels[level], "halve") for level in plan.levels[:-1])
        self.middle = nn.ModuleList(Block(channels[-1], channels[-1], manner) for _ in range(2))
        heads_there = plan.heads_of(last, is_middle=True)
        self.middle_attention = (
            Attention(channels[-1], heads_there, manner) if heads_there else nn.Identity()
        )
        self.up = nn.ModuleList(
            _level(
                plan,
                manner,
                level,
                channels[min(last, level + 1)],
                [skips.pop() for _ in range(blocks + 1)],
            )
            for level in reversed(plan.levels)
        )
        self.rise = nn.ModuleList(step(channels[level], "double") for level in range(last, 0, -1))
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


def _level(
    plan: DDPMPlan, manner: Manner, level: int, channels_in: int, read: list[int]
) -> nn.ModuleList:
    """The cells of a level in one direction, each of which reads so many channels besides."""
    outer, heads = plan.channels[level], plan.heads_of(level)
    widths = [channels_in, *[outer] * (len(read) - 1)]
    return nn.ModuleList(
        Cell(width + more, outer, heads, manner) for width, more in zip(widths, read, strict=True)
    )


def _step(
    channels: int,
    resizing: Resizing,
    *,
    resample: Literal["conv", "block"],
    padding: Padding,
    manner: Manner,
) -> nn.Module:
    if resample == "block":
        return Block(channels, channels, manner, resizing)
    return Convolved(channels, resizing, padding)
