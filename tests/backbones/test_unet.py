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


@pytest.mark.parametrize(
    ("preset", "size"),
    [("tiny", 0.3), ("small", 4.8), ("ddpm35m", 33), ("ddpmpp", 53), ("adm", 211)],
)
def test_presets_have_the_size_that_the_docs_say(preset, size):
    with torch.device("meta"):
        network = UNet(DataSpec((3, 32, 32)), preset=preset)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(size, rel=0.02)


@pytest.mark.parametrize(("side", "levels"), [(16, [2]), (32, [1]), (64, [0])])
def test_attention_is_at_the_sides_that_are_named(side, levels):
    by_side, by_level = (
        UNet(DataSpec((1, 64, 80)), channels=8, mults=(1, 1, 1), **one)
        for one in (
            {"attention": (), "attention_sides": (side,)},
            {"attention": tuple(levels)},
        )
    )
    assert by_side.state_dict().keys() == by_level.state_dict().keys()
    assert any("attention" in name for name in by_side.state_dict())


@pytest.mark.parametrize(("channels", "heads"), [(32, 1), (64, 1), (128, 2), (192, 3), (208, 2)])
def test_a_head_has_64_channels_unless_told_otherwise(channels, heads):
    network = UNet(SPEC, channels=channels, mults=(1,), attention=(0,))
    found = {m.heads for m in network.modules() if isinstance(m, SelfAttention)}
    assert found == {heads}


def test_steps_apart_have_blocks_of_their_own_without_attention():
    network = UNet(SPEC, channels=8, mults=(1, 2, 2), attention=(1, 2), steps_apart=True)
    steps = [block for block in network.down if isinstance(block.before, nn.AvgPool2d)]
    assert len(network.down) == len(network.up) == 3 + 2
    assert [block.attention for block in steps] == [None] * 2
    assert [shape[-1] for shape in shapes_seen(network, ResBlock)] == [
        16, 16, 8, 8, 4, 4, 4, 4, 8, 8, 16,
    ]  # fmt: skip


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    network = UNet(SPEC, channels=8, mults=(1,), attention=(), dropout=0.5).double()
    for p in network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    inputs = torch.randn(2, 1, 16, 16).double(), torch.zeros(2).double(), Condition()
    assert not torch.equal(network.train()(*inputs), network(*inputs))
    assert torch.equal(network.eval()(*inputs), network(*inputs))


def test_scaled_skips_keep_the_variance_of_a_sum():
    torch.manual_seed(0)
    x = torch.randn(64, 8, 4, 4)
    block = ResBlock(8, 8, 4, scaled=True)
    nn.init.normal_(block.conv2.weight)
    added = ResBlock(8, 8, 4)
    added.load_state_dict(block.state_dict())
    condition = torch.zeros(64, 4)
    torch.testing.assert_close(block(x, condition) * 2**0.5, added(x, condition))
    # a block whose residual is as large as its input adds two variances of one
    assert block(x, condition).var() < added(x, condition).var() * 0.51


def test_the_weights_of_a_saved_network_still_fit():
    # names and sizes of runs that were saved before there were presets
    state = UNet(DataSpec((1, 8, 8), 10), channels=16, mults=(1, 2, 4), blocks=1, heads=1)
    assert state.state_dict().keys() == UNet(DataSpec((1, 8, 8), 10)).state_dict().keys()
    assert "down.2.attention.attention.qkv.weight" in state.state_dict()
