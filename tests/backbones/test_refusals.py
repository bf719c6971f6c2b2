"""What no network is built for, and that all of it is said at once."""

import pytest

from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.mlp import MLP
from diffx_backbones.trunk import Trunk
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_core import ConfigError, DataSpec

VECTOR = DataSpec((2,))
IMAGE = DataSpec((1, 12, 10))
HUGE = 10**12
"""A size that fails with a MemoryError where it is allocated."""

CASES = {
    "mlp-image": (MLP, IMAGE, {}, ["(1, 12, 10)"]),
    "mlp-sizes": (MLP, VECTOR, {"width": 0, "depth": -1}, ["width", "got 0", "depth", "got -1"]),
    "mlp-octaves": (MLP, VECTOR, {"octaves": 17}, ["octaves", "0 to 16", "got 17"]),
    "unet-vector": (UNet, VECTOR, {}, ["(2,)"]),
    "unet-side": (UNet, IMAGE, {"mults": (1, 1, 1)}, ["width 10", "divisible by 4", "3 levels"]),
    "unet-no-levels": (UNet, IMAGE, {"mults": ()}, ["mults"]),
    "unet-mult": (UNet, IMAGE, {"mults": (1, 0), "attention": ()}, ["mults[1]", "got 0"]),
    "unet-level": (UNet, IMAGE, {"mults": (1, 2), "attention": (2,)}, ["level 2", "0 to 1"]),
    "unet-negative-level": (UNet, IMAGE, {"mults": (1,), "attention": (-1,)}, ["level -1"]),
    "unet-heads": (
        UNet,
        IMAGE,
        {"channels": 8, "mults": (1, 2), "attention": (1,), "heads": 3},
        ["channels 8", "channels 16", "divisible by 3", "heads"],
    ),
    "unet-side-of-no-level": (
        UNet,
        IMAGE,
        {"mults": (1, 2), "attention": (), "attention_sides": (16,)},
        ["side 16", "10, 5"],
    ),
    "unet-dropout": (UNet, IMAGE, {"mults": (1, 2), "attention": (), "dropout": 1.0}, ["1.0"]),
    "unet-channels": (UNet, IMAGE, {"channels": 10, "mults": (1,), "attention": ()}, ["10", "4"]),
    "unet-blocks": (UNet, IMAGE, {"mults": (1, 2), "blocks": 0, "attention": ()}, ["blocks"]),
    "edm2-vector": (EDM2, VECTOR, {}, ["edm2", "(2,)"]),
    "edm2-side": (EDM2, IMAGE, {"mults": (1, 1, 1)}, ["width 10", "divisible by 4", "3 levels"]),
    "edm2-side-of-no-level": (
        EDM2,
        IMAGE,
        {"mults": (1, 2), "attention_sides": (16,)},
        ["side 16", "10, 5"],
    ),
    "edm2-before-allocation": (EDM2, IMAGE, {"channels": HUGE, "blocks": 0}, ["blocks"]),
    "dit-vector": (DiT, VECTOR, {}, ["(2,)"]),
    "dit-patch": (DiT, IMAGE, {"patch": 5}, ["height 12", "divisible by 5", "patch"]),
    "dit-heads": (DiT, IMAGE, {"patch": 2, "width": 64, "heads": 5}, ["64", "5", "heads"]),
    "dit-preset": (DiT, IMAGE, {"preset": "M/2"}, ["'M/2'", "tiny, small, S, B, L, XL", "S/2"]),
    "dit-preset-alone": (DiT, IMAGE, {"preset": "S"}, ["'S'", "slash"]),
    "dit-registers": (DiT, IMAGE, {"patch": 2, "registers": -1}, ["registers", "got -1"]),
    "dit-class-tokens": (
        DiT,
        IMAGE,
        {"patch": 2, "class_tokens": 2},
        ["class_tokens 2", "no classes"],
    ),
    "dit-rope": (DiT, IMAGE, {"patch": 2, "width": 36, "heads": 6, "pe": "rope"}, ["36", "24"]),
    "dit-width": (DiT, IMAGE, {"patch": 2, "width": 66, "heads": 1}, ["66", "4", "position"]),
    "dit-sizes": (DiT, IMAGE, {"patch": 0, "depth": 0, "heads": 0}, ["patch", "depth", "heads"]),
    "uvit-vector": (UViT, VECTOR, {}, ["uvit", "(2,)"]),
    "uvit-depth": (UViT, IMAGE, {"patch": 2, "depth": 4}, ["depth", "odd", "got 4"]),
    "uvit-preset": (UViT, IMAGE, {"preset": "XL/2"}, ["'XL/2'", "tiny, small, S, M, L, H"]),
    "uvit-rope": (UViT, IMAGE, {"patch": 2, "width": 36, "heads": 6, "pe": "rope"}, ["24"]),
    "timm-vector": (Trunk, VECTOR, {}, ["timm", "(2,)"]),
    "timm-name": (
        Trunk,
        IMAGE,
        {"name": "vit_tiny_patch16_223"},
        ["'vit_tiny_patch16_223'", "224"],
    ),
    "timm-hub": (Trunk, IMAGE, {"name": "hf-hub:timm/vit"}, ["no model 'hf-hub:timm/vit'"]),
    "timm-cnn": (Trunk, IMAGE, {"name": "resnet18"}, ["resnet18", "no plain vision transformer"]),
    "timm-distilled": (Trunk, IMAGE, {"name": "deit_tiny_distilled_patch16_224"}, ["no plain"]),
    "timm-patch": (Trunk, IMAGE, {"patch": 5}, ["height 12", "divisible by 5"]),
    "timm-patch-0": (Trunk, IMAGE, {"patch": 0}, ["patch", "got 0"]),
    "all-at-once": (
        DiT,
        IMAGE,
        {"patch": 5, "width": HUGE, "heads": 7, "depth": 0},
        ["depth", "height 12", f"width {HUGE}", "7"],
    ),
    "mlp-before-allocation": (MLP, IMAGE, {"width": HUGE}, ["(1, 12, 10)"]),
    "unet-before-allocation": (UNet, IMAGE, {"channels": HUGE, "blocks": 0}, ["blocks"]),
}


@pytest.mark.parametrize(("network", "spec", "options", "said"), CASES.values(), ids=CASES)
def test_what_does_not_fit_is_refused_with_its_numbers(network, spec, options, said):
    with pytest.raises(ConfigError) as refused:
        network(spec, **options)
    assert [words for words in said if words not in str(refused.value)] == []


def test_each_problem_has_its_own_line():
    with pytest.raises(ConfigError) as refused:
        DiT(IMAGE, patch=5, width=66, heads=4)
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize(
    "network", [UNet, EDM2, DiT, UViT, Trunk], ids=["unet", "edm2", "dit", "uvit", "timm"]
)
@pytest.mark.parametrize("side", [8, 16, 32])
def test_the_defaults_fit_images_of_usual_sizes(network, side):
    assert network(DataSpec((3, side, side), num_classes=10))
