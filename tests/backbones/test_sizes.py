"""Networks in sizes: each can be built for data of any shape, and grows with its name."""

from typing import get_args

import pytest
import torch

from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.mlp import MLP
from diffx_backbones.trunk import Trunk
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_core import ComesInSizes, Condition, DataSpec, SizeName

NAMES = get_args(SizeName)
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 96, 96), (3, 40, 24)]
IMAGES = [(cls, shape) for cls in (UNet, EDM2, DiT, UViT) for shape in SHAPES]


def built(cls, size, spec):
    with torch.device("meta"):
        return cls(spec, **cls.sized(size, spec).options)


@pytest.mark.parametrize("size", NAMES)
@pytest.mark.parametrize(("cls", "shape"), [*IMAGES, (MLP, (2,))], ids=str)
def test_a_network_of_each_size_takes_the_data(cls, shape, size):
    with torch.device("meta"):
        label = torch.zeros(2, dtype=torch.long)
        model = built(cls, size, DataSpec(shape=shape, num_classes=3))
        y = model(torch.empty(2, *shape), torch.empty(2), Condition(label=label))
    assert y.shape == (2, *shape)


@pytest.mark.parametrize("cls", [UNet, EDM2, DiT, UViT, MLP])
def test_a_larger_size_has_more_parameters(cls):
    spec = DataSpec(shape=(2,) if cls is MLP else (3, 32, 32))
    models = (built(cls, size, spec) for size in NAMES)
    counts = [sum(one.numel() for one in model.parameters()) for model in models]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("cls", [UNet, EDM2, DiT, UViT])
def test_a_size_is_one_of_the_networks_own_presets(cls):
    spec = DataSpec(shape=(3, 32, 32))
    for size in NAMES:
        assert set(cls.sized(size, spec).options) == {"preset"}


@pytest.mark.parametrize("cls", [DiT, UViT])
@pytest.mark.parametrize(
    ("side", "patches"), [(8, (1, 1)), (28, (4, 2)), (32, (4, 2)), (96, (12, 6)), (256, (32, 16))]
)
def test_patches_are_the_smallest_that_make_few_enough_tokens(cls, side, patches):
    spec = DataSpec(shape=(3, side, side))
    found = [cls.sized(size, spec).options["preset"] for size in ("tiny", "large")]
    assert [int(one.partition("/")[2]) for one in found] == [*patches]


@pytest.mark.parametrize(
    ("cls", "size", "shape", "options"),
    [
        (UNet, "large", (3, 63, 63), {"preset": "ddpmpp", "mults": (2,), "attention_sides": ()}),
        (UNet, "large", (3, 64, 64), {"preset": "adm"}),
        (UNet, "medium", (3, 96, 96), {"preset": "ddpm35m", "attention_sides": (12,)}),
        (
            UNet,
            "medium",
            (1, 28, 28),
            {"preset": "ddpm35m", "mults": (1, 2, 2), "attention_sides": (14,)},
        ),
        (UNet, "tiny", (1, 14, 14), {"preset": "tiny", "mults": (1, 2), "attention": (1,)}),
        (UNet, "tiny", (1, 97, 97), {"preset": "tiny", "mults": (1,), "attention": ()}),
        (EDM2, "small", (3, 256, 256), {"preset": "small", "attention_sides": ()}),
    ],
    ids=str,
)
def test_a_u_net_has_the_levels_and_the_attention_that_images_allow(cls, size, shape, options):
    assert cls.sized(size, DataSpec(shape=shape)).options == options


def test_a_network_that_knows_no_sizes_does_not_come_in_any():
    assert isinstance(UNet, ComesInSizes)
    assert not isinstance(Trunk, ComesInSizes)
