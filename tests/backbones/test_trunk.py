"""What is special about the trunks of timm."""

import socket

import pytest
import timm
import torch
from torch.testing import assert_close

from diffx_backbones.trunk import Trunk
from diffx_core import Condition, DataSpec

SPEC = DataSpec((2, 8, 12), num_classes=3)
NAMES = (
    "vit_tiny_patch16_224",
    "vit_small_patch14_reg4_dinov2",
    "vit_base_patch16_clip_224",
    "vit_intern300m_patch14_448",
    "deit3_small_patch16_224",
)


@pytest.mark.parametrize("name", NAMES)
def test_models_become_trunks_for_any_image(name):
    with torch.device("meta"):
        network = Trunk(DataSpec((2, 8, 12)), name=name, patch=2)
        x = torch.zeros(3, 2, 8, 12)
        assert network(x, torch.zeros(3), Condition()).shape == x.shape
    assert network.trunk.patch_embed.num_patches == 24


def test_the_blocks_are_those_of_the_model():
    with torch.device("meta"):
        network, model = (
            Trunk(SPEC, name="vit_small_patch16_224"),
            timm.create_model("vit_small_patch16_224"),
        )
    ours, theirs = (
        {name: value.shape for name, value in one.blocks.state_dict().items()}
        for one in (network.trunk, model)
    )
    assert ours == theirs


@pytest.mark.parametrize(("num_classes", "tokens"), [(None, 1 + 6), (3, 2 + 6)])
def test_the_noise_level_and_the_class_are_tokens(num_classes, tokens):
    network = Trunk(DataSpec((2, 8, 12), num_classes), name="test_vit")
    seen = []
    network.trunk.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    network(torch.zeros(3, 2, 8, 12), torch.zeros(3), Condition())
    assert seen == [tokens]


def test_patches_are_put_back_where_they_were_cut():
    network = Trunk(DataSpec((1, 8, 12)), name="test_vit", patch=4).eval()
    torch.nn.init.normal_(network.out.weight)
    x = torch.zeros(1, 1, 8, 12)
    seen = []
    network.trunk.norm.register_forward_hook(lambda _, args, y: seen.append(y[:, 1:]))
    y = network(x, torch.zeros(1), Condition())
    # the token of row 1, column 2
    said = network.out(seen[0][0, 5]).view(4, 4)
    assert_close(y[0, 0, 4:, 8:], said)


def test_no_weights_are_fetched(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert timm.models.is_model_pretrained("vit_tiny_patch16_224")
    torch.manual_seed(0)
    first = Trunk(SPEC).trunk.blocks[0].attn.qkv.weight
    assert not torch.equal(Trunk(SPEC).trunk.blocks[0].attn.qkv.weight, first)
