"""What is special about the transformer."""

import pytest
import torch

from diffx_backbones.attention import HeadNorm
from diffx_backbones.dit import DiT
from diffx_core import Condition, DataSpec

SPEC = DataSpec((2, 8, 12), num_classes=3)


def test_a_new_block_is_the_identity():
    network = DiT(SPEC, width=16)
    h, condition = torch.randn(2, 6, 16), torch.randn(2, 16)
    assert torch.equal(network.blocks[0](h, condition), h)


def test_every_patch_has_its_own_position():
    position = DiT(SPEC, patch=2, width=16).position
    assert position.shape == (4 * 6, 16)
    assert len(position.unique(dim=0)) == 4 * 6


def test_positions_are_computed_and_not_learned():
    network = DiT(SPEC, width=16)
    assert "position" not in network.state_dict()


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_patches_are_put_back_where_they_were_cut(patch):
    network = DiT(SPEC, patch=patch, width=2 * patch**2 * 2, depth=1, heads=1).double()
    size = 2 * patch**2
    with torch.no_grad():
        # the identity on patches, up to the layer norm's mean and scale, which the rows (u, -u) fix
        eye = torch.eye(size).double()
        network.stem.weight.copy_(torch.cat([eye, -eye]))
        network.stem.bias.zero_()
        network.position.zero_()
        network.out.weight.copy_(torch.cat([eye, -eye], dim=1) / 2)
    x = torch.randn(3, 2, 8, 12).double()
    y = network(x, torch.zeros(3).double(), Condition())
    assert torch.equal(y.sign(), x.sign())


@pytest.mark.parametrize("qk_norm", [True, False])
def test_queries_and_keys_are_normalised_if_asked_for(qk_norm):
    network = DiT(SPEC, depth=3, qk_norm=qk_norm)
    norms = [m for m in network.modules() if isinstance(m, HeadNorm)]
    assert len(norms) == (6 if qk_norm else 0)
