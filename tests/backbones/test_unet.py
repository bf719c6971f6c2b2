"""What is special about the U-Net."""

import pytest
import torch
from torch import nn

from diffx_backbones.attention import SelfAttention
from diffx_backbones.residual import ResBlock
from diffx_backbones.unet import UNet
from diffx_core import Condition, DataSpec

SPEC = DataSpec((1, 16, 16))


def shapes_seen(network, kind):
    """The shapes that the modules of a kind were given, in order."""
    seen = []
    for module in network.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda _, args, __: seen.append(tuple(args[0].shape)))
    network(torch.zeros(1, 1, 16, 16), torch.zeros(1), Condition())
    return seen


@pytest.mark.parametrize(
    ("attention", "tokens"),
    [((), []), ((2,), [16, 16, 16]), ((1,), [64, 64]), ((0, 2), [256, 16, 16, 16, 256])],
    ids=str,
)
def test_attention_is_at_the_levels_that_are_named(attention, tokens):
    network = UNet(SPEC, channels=8, mults=(1, 1, 1), attention=attention)
    assert [shape[1] for shape in shapes_seen(network, SelfAttention)] == tokens


def test_the_way_up_mirrors_the_way_down():
    network = UNet(SPEC, channels=8, mults=(1, 2, 3), blocks=2, attention=())
    sides = [shape[-1] for shape in shapes_seen(network, ResBlock)]
    # a block that halves is entered at the side of the level above it
    assert sides == [16, 16, 16, 8, 8, 4, 4, 4, 4, 8, 8, 16, 16]


@pytest.mark.parametrize("blocks", [1, 3])
def test_blocks_are_per_level_and_direction(blocks):
    network = UNet(SPEC, channels=8, mults=(1, 2), blocks=blocks, attention=())
    assert (len(network.down), len(network.up)) == (2 * blocks, 2 * blocks)


def test_any_image_of_a_fitting_size_is_understood():
    network = UNet(SPEC, channels=8, mults=(1, 2, 2), attention=(2,))
    x = torch.randn(2, 1, 24, 8)
    assert network(x, torch.zeros(2), Condition()).shape == x.shape


@pytest.mark.parametrize("channels", [4, 12, 48, 96, 256])
def test_a_group_of_a_norm_has_at_least_four_channels(channels):
    network = UNet(SPEC, channels=channels, mults=(1,), attention=())
    norms = [m for m in network.modules() if isinstance(m, nn.GroupNorm)]
    assert all(m.num_channels / m.num_groups >= 4 and m.num_groups <= 32 for m in norms)
