"""What is special about the transformer with long skips."""

import pytest
import torch

from diffx_backbones.uvit import UViT
from diffx_core import Condition, DataSpec

SPEC = DataSpec((2, 8, 12), num_classes=3)


@pytest.mark.parametrize(
    ("preset", "published"), [("S/2", 44), ("M/4", 131), ("L/2", 287), ("H/2", 501)]
)
def test_presets_have_the_size_that_was_published(preset, published):
    with torch.device("meta"):
        network = UViT(DataSpec((4, 32, 32)), preset=preset)
    size = sum(p.numel() for p in network.parameters()) / 1e6
    assert size == pytest.approx(published, rel=0.02)


def test_a_block_of_the_second_half_reads_what_its_mirror_said():
    torch.manual_seed(0)
    network = UViT(SPEC, width=16, depth=5)
    said, read = {}, {}
    for i, block in enumerate(network.blocks):
        block.register_forward_hook(lambda _, args, y, i=i: (said.update({i: y}), None)[1])
        block.register_forward_pre_hook(lambda _, args, i=i: (read.update({i: args[1]}), None)[1])
    network(torch.randn(2, 2, 8, 12), torch.zeros(2), Condition())
    assert [read[i] for i in range(3)] == [None, None, None]
    assert torch.equal(read[3], said[1])
    assert torch.equal(read[4], said[0])
    assert [block.merge is not None for block in network.blocks] == [False] * 3 + [True] * 2


@pytest.mark.parametrize(("num_classes", "tokens"), [(None, 1 + 6), (3, 2 + 6)])
def test_the_noise_level_and_the_class_are_tokens(num_classes, tokens):
    network = UViT(DataSpec((2, 8, 12), num_classes), width=16)
    seen = []
    network.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    network(torch.zeros(3, 2, 8, 12), torch.zeros(3), Condition())
    assert seen == [(3, tokens, 16)]


def test_rope_learns_no_positions_and_turns_no_token_of_the_condition():
    network = UViT(SPEC, width=16, pe="rope")
    assert "position" not in network.state_dict()
    assert torch.equal(network.rotation.sine[:2], torch.zeros(2, 4))
    assert network.rotation.sine[3].any()
