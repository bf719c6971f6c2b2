"""A convolutional U-Net: down through levels of falling resolution, and up again in mirror image.

Every block on the way down hands its output down, and across to its mirror, which reads it together
with what comes from below and answers with as many channels as the first had been given. Resampling
has no weights of its own. Context tokens, where the data have them, are read by cross-attention in
every block that has attention.

Shapes: x (B, C, H, W), h (B, channels * mult, H / 2^level, W / 2^level), condition (B, width).
"""

from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import silu

from diffx_backbones.context import ContextTokens
from diffx_backbones.embedding import ConditionEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.recomputation import run
from diffx_backbones.refusal import not_divisible, refuse, unasked
from diffx_backbones.residual import ResBlock, group_norm
from diffx_backbones.sizes import unet_of
from diffx_backbones.unet_presets import PLANS, varied
from diffx_core import Condition, DataSpec, Sized, SizeName


class UNet(nn.Module):
    """A class-conditional U-Net for images (C, H, W).

    Args:
        spec: of the data.
        preset: what the options below are unless they are told.
        channels: of level 0, which has the full resolution; a multiple of 4, and of 16 for speed.
        mults: channels of each level, in multiples of `channels`; every level has half the side of
            the one before it.
        blocks: residual blocks per level, on the way down and again on the way up.
        attention: levels whose blocks end in self-attention.
        attention_sides: the same by the smaller side of the image in pixels, such as 16.
        heads: of the attention; if none, 64 channels to a head, which is fastest.
        dropout: share of the activations inside a block that training forgets.
        steps_apart: whether each step between levels has a residual block of its own.
        scaled_skips: whether sums of a residual and its skip are divided by sqrt 2, which keeps
            their variance.
        checkpointing: whether training recomputes each block on the way back, which saves most of
            the memory, for steps about one and a half times as long.

    References:
        Ho, Jain and Abbeel, 2020, Denoising Diffusion Probabilistic Models (arXiv:2006.11239).
        Song et al., 2020, Score-Based Generative Modeling (arXiv:2011.13456), for ddpmpp.
        Dhariwal and Nichol, 2021, Diffusion Models Beat GANs (arXiv:2105.05233), for adm.
    """

    @classmethod
    def sized(cls, size: SizeName, spec: DataSpec) -> Sized:
        """What makes a network of a size for images of a shape."""
        return unet_of(size, spec)

    def __init__(
        self,
        spec: DataSpec,
        *,
        preset: Literal["tiny", "small", "ddpm35m", "ddpmpp", "adm"] = "tiny",
        channels: int | None = None,
        mults: tuple[int, ...] | None = None,
        blocks: int | None = None,
        attention: tuple[int, ...] | None = None,
        attention_sides: tuple[int, ...] | None = None,
        heads: int | None = None,
        dropout: float | None = None,
        steps_apart: bool | None = None,
        scaled_skips: bool | None = None,
        checkpointing: bool = False,
    ) -> None:
        plan = varied(
            PLANS[preset],
            channels=channels,
            mults=mults,
            blocks=blocks,
            attention=attention,
            sides=attention_sides,
            heads=heads,
            dropout=dropout,
            steps_apart=steps_apart,
            scaled=scaled_skips,
        )
        reason = "the least group of a norm"
        problems = plan.problems("unet", spec, attention_sides)
        refuse(problems + not_divisible("channels", plan.channels, 4, reason))
        down, up = plan.way_down(spec), plan.mirrored(spec)
        refuse(unasked("unet", spec, is_asked=any(stage.heads for stage in down)))
        super().__init__()
        self.checkpointing, self.is_paired = checkpointing, spec.paired
        width, last = 4 * plan.channels, down[-1]
        block = partial(
            ResBlock, width=width, dropout=plan.dropout, scaled=plan.scaled, context=spec.context
        )
        self.condition = ConditionEmbedding(width, spec.num_classes)
        self.context = None if spec.context is None else ContextTokens(spec.context)
        self.stem = nn.Conv2d(read_channels(spec), plan.channels, 3, padding=1)
        self.down = nn.ModuleList(
            block(s.before, s.channels, heads=s.heads, halves=s.is_step) for s in down
        )
        self.middle = block(last.channels, last.channels, heads=last.heads)
        self.up = nn.ModuleList(
            block(s.before + s.reads, s.channels, heads=s.heads, doubles=s.is_step) for s in up
        )
        self.norm = group_norm(plan.channels)
        self.out = zeroed(nn.Conv2d(plan.channels, spec.shape[0], 3, padding=1))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        through = partial(run, recomputed=self.checkpointing and self.training)
        condition = self.condition(noise_label, cond)
        told = None if self.context is None else self.context(x, cond)
        h: Tensor = self.stem(beside(x, cond, is_paired=self.is_paired))
        skips = []
        for block in self.down:
            h = through(block, h, condition, told)
            skips.append(h)
        h = through(self.middle, h, condition, told)
        for block in self.up:
            h = through(block, h, condition, told, skips.pop())
        y: Tensor = self.out(silu(self.norm(h)))
        return y
