"""What the MLP sees of its numbers, and what it can say before its blocks have learned anything."""

import torch
from torch.testing import assert_close

from diffx_backbones.mlp import MLP, FourierFeatures
from diffx_core import Condition, DataSpec


def test_numbers_are_seen_with_their_sines_and_cosines_an_octave_apart():
    x = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
    angles = torch.tensor([0.3, 0.6, 1.2, -2.0, -4.0, -8.0], dtype=torch.float64)
    expected = torch.cat([x[0], angles.sin(), angles.cos()])
    assert_close(FourierFeatures(3).double()(x)[0], expected, rtol=1e-14, atol=0)


def test_without_octaves_numbers_are_seen_alone():
    x = torch.randn(4, 3)
    assert torch.equal(FourierFeatures(0)(x), x)
    assert MLP(DataSpec((3,)), octaves=0).stem.in_features == 3


def test_frequencies_are_no_part_of_a_checkpoint():
    assert not [name for name in MLP(DataSpec((2,))).state_dict() if "frequency" in name]


def test_the_skip_says_a_multiple_of_x_that_the_noise_level_decides():
    torch.manual_seed(0)
    network = MLP(DataSpec((2,)), width=16, depth=1).double()
    torch.nn.init.normal_(network.skip.weight)
    x, label = torch.randn(5, 2).double(), 1000 * torch.rand(5).double()
    share = network(x, label, Condition()) / x
    assert_close(network(3 * x, label, Condition()), 3 * share * x, rtol=1e-12, atol=1e-12)
    assert share.std(0).gt(1e-3).all()
