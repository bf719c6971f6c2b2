"""Any vision transformer of timm as the trunk of a denoiser, with the condition as tokens.

Patches become tokens as in timm; the noise level and the class go before them as tokens of their
own; all go through the blocks of timm, whatever those are; and a linear layer makes patches of them
again. Nothing is downloaded: a model's name stands for its shape, and its weights start anew.

Shapes: x (B, C, H, W), h (B, E + N, width) with N = (H / patch) (W / patch) and E tokens of the
condition.
"""

from difflib import get_close_matches
from functools import partial

import timm
import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from diffx_backbones.embedding import ClassEmbedding, NoiseEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.patches import Patches
from diffx_backbones.recomputation import run
from diffx_backbones.refusal import (
    non_positive,
    not_an_image,
    reads_no_context,
    refuse,
    sides_not_divisible,
)
from diffx_core import Condition, DataSpec

PLAIN = "vit_tiny_patch16_224"


class Trunk(nn.Module):
    """A vision transformer of timm for images (C, H, W).

    Args:
        spec: of the data.
        name: of the model in timm, such as vit_small_patch16_224; what it says of patches and of
            sides is not heeded.
        patch: side of a patch in pixels; H and W are multiples of it.
        checkpointing: whether training recomputes each block on the way back, which saves most of
            the memory, for steps about one and a half times as long.

    References:
        Dosovitskiy et al., 2020, An Image is Worth 16x16 Words (arXiv:2010.11929).
        Wightman, 2019, PyTorch Image Models (doi:10.5281/zenodo.4414861).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        name: str = PLAIN,
        patch: int = 4,
        checkpointing: bool = False,
    ) -> None:
        refuse(
            not_an_image("timm", spec)
            + reads_no_context("timm", spec)
            + not_a_trunk(name)
            + non_positive(patch=patch)
            + sides_not_divisible(spec, patch, "the side of a patch")
        )
        super().__init__()
        self.grid = Patches.of(spec, patch)
        self.checkpointing = checkpointing
        self.told = 1 if spec.num_classes is None else 2
        self.is_paired = spec.paired
        self.trunk = built(name, spec, patch)
        width = self.trunk.embed_dim
        self.noise = NoiseEmbedding(width)
        self.classes = None if spec.num_classes is None else ClassEmbedding(spec.num_classes, width)
        self.out = zeroed(nn.Linear(width, self.grid.size))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, C, H, W) at the (B,) noise labels to (B, C, H, W)."""
        through = partial(run, recomputed=self.checkpointing and self.training)
        h = self.trunk.norm_pre(self._tokens(x, noise_label, cond))
        for block in self.trunk.blocks:
            h = through(block, h)
        return self.grid.joined(self.out(self.trunk.norm(h)[:, self.told :]))

    def _tokens(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        h = self.trunk.patch_embed(beside(x, cond, is_paired=self.is_paired))
        if self.trunk.pos_embed is not None:
            h = h + self.trunk.pos_embed
        told = [self.noise(noise_label)]
        if self.classes is not None:
            told.append(self.classes(cond.label).expand(x.shape[0], -1))
        return torch.cat([*(one.unsqueeze(1).to(h.dtype) for one in told), h], dim=1)


def built(name: str, spec: DataSpec, patch: int) -> VisionTransformer:
    """The model of a name, for other patches and images, without weights, pooling or a head."""
    model = timm.create_model(
        name,
        pretrained=False,
        in_chans=read_channels(spec),
        img_size=spec.shape[1:],
        patch_size=patch,
        num_classes=0,
        class_token=False,
        reg_tokens=0,
        global_pool="",
        dynamic_img_size=False,
    )
    assert isinstance(model, VisionTransformer)
    return model


def not_a_trunk(name: str) -> list[str]:
    """A problem if timm has no model of the name, or one that is no stack of blocks on patches."""
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models("vit_*"), n=3)
        said = f"; did you mean {' or '.join(near)}?" if near else ""
        return [f"timm has no model {name!r}{said}"]
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    # subclasses put blocks and tokens together in other ways
    if type(model) is VisionTransformer and type(model.patch_embed) is PatchEmbed:
        return []
    return [f"name {name} is no plain vision transformer; try {PLAIN}"]
