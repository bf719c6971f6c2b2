"""What makes each network tiny, small, medium or large, for data of a shape.

The learning rates are those that were published with a network of about the size; those of the two
small sizes, which nobody has published, are what they learn well with on small images.
"""

from math import gcd, log2
from typing import Any

from diffx_backbones.unet_plan import Plan, side_at
from diffx_backbones.unet_presets import EDM2_PLANS, PLANS
from diffx_core import DataSpec, Sized, SizeName

UNETS: dict[SizeName, tuple[str, float]] = {
    "tiny": ("tiny", 2e-3),
    "small": ("small", 5e-4),
    "medium": ("ddpm35m", 2e-4),  # Ho et al., 2020, arXiv:2006.11239
    "large": ("ddpmpp", 2e-4),  # Song et al., 2020, arXiv:2011.13456
}
WIDE = ("adm", 1e-4)
"""A large U-Net for large images: Dhariwal and Nichol, 2021, arXiv:2105.05233."""
WIDE_FROM = 64
"""The side of images from which on it is taken."""

EDM2S: dict[SizeName, tuple[str, float]] = {
    "tiny": ("tiny", 2e-3),
    "small": ("small", 2e-3),
    # Karras et al., 2024, arXiv:2312.02696: .01 for batches of 2048, less by the square root of the
    # ratio for those of 256.
    "medium": ("XS", 3.5e-3),
    "large": ("S", 3.5e-3),
}
DITS: dict[SizeName, tuple[str, float]] = {
    "tiny": ("tiny", 2e-3),
    "small": ("small", 5e-4),
    "medium": ("S", 1e-4),  # Peebles and Xie, 2022, arXiv:2212.09748
    "large": ("B", 1e-4),
}
UVITS: dict[SizeName, tuple[str, float]] = {
    "tiny": ("tiny", 2e-3),
    "small": ("small", 5e-4),
    "medium": ("S", 2e-4),  # Bao et al., 2022, arXiv:2209.12152
    "large": ("M", 2e-4),
}
MLPS: dict[SizeName, tuple[dict[str, int], float]] = {
    "tiny": ({"width": 128, "depth": 3}, 2e-3),
    "small": ({"width": 256, "depth": 4}, 1e-3),
    "medium": ({"width": 512, "depth": 5}, 5e-4),
    "large": ({"width": 1024, "depth": 6}, 2e-4),
}

TOKENS = 256
"""Of a transformer, at most: those of the published ones."""
FEW_TOKENS = 64
"""Of a tiny one."""
ATTENDED = 16
"""The side at which U-Nets attend, as published; the nearest that an image has, otherwise."""
MOST_ATTENDED = 32
"""The side up to which attention pays for its cost."""


def unet_of(size: SizeName, spec: DataSpec) -> Sized:
    """A U-Net."""
    is_large = size == "large" and spec.is_image and min(spec.shape[1:]) >= WIDE_FROM
    preset, lr = WIDE if is_large else UNETS[size]
    return Sized(options={"preset": preset, **fitted(PLANS[preset], spec)}, lr=lr)


def edm2_of(size: SizeName, spec: DataSpec) -> Sized:
    """A magnitude-preserving U-Net."""
    preset, lr = EDM2S[size]
    return Sized(options={"preset": preset, **fitted(EDM2_PLANS[preset], spec)}, lr=lr)


def transformer_of(
    sizes: dict[SizeName, tuple[str, float]], size: SizeName, spec: DataSpec
) -> Sized:
    """A transformer, with patches that make few enough tokens."""
    preset, lr = sizes[size]
    patch = patch_for(spec, FEW_TOKENS if size == "tiny" else TOKENS)
    return Sized(options={"preset": f"{preset}/{patch}"}, lr=lr)


def mlp_of(size: SizeName) -> Sized:
    """An MLP."""
    options, lr = MLPS[size]
    return Sized(options=options, lr=lr)


def fitted(plan: Plan, spec: DataSpec) -> dict[str, Any]:
    """What a plan is told besides, so that it suits images of a shape.

    Levels whose sides cannot be halved are left out; where no level has a side at which there is
    attention, the nearest one has it.
    """
    if not spec.is_image:
        return {}
    told: dict[str, Any] = {}
    side = gcd(*spec.shape[1:])
    halvings = (side & -side).bit_length() - 1
    levels = min(len(plan.mults), halvings + 1)
    if levels < len(plan.mults):
        told["mults"] = plan.mults[:levels]
        if plan.attention:
            told["attention"] = (levels - 1,) if side_at(spec, levels - 1) <= MOST_ATTENDED else ()
    sides = [side_at(spec, level) for level in range(levels)]
    if plan.sides and not {*sides} & {*plan.sides}:
        near = min(sides, key=lambda one: abs(log2(one / ATTENDED)))
        told["attention_sides"] = (near,) if near <= MOST_ATTENDED else ()
    return told


def patch_for(spec: DataSpec, tokens: int) -> int:
    """The smallest side of a patch with which an image has no more tokens than these."""
    if not spec.is_image:
        return 1
    height, width = spec.shape[1:]
    side = gcd(height, width)
    divisors = (patch for patch in range(1, side + 1) if side % patch == 0)
    return next((p for p in divisors if (height // p) * (width // p) <= tokens), side)
