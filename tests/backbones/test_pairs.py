"""Images that networks read beside x."""

import pytest
import torch

from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.mlp import MLP
from diffx_backbones.trunk import Trunk
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_core import Condition, ConfigError, DataSpec

SPEC = DataSpec((2, 8, 8), paired=True)


@pytest.mark.parametrize("build", [UNet, EDM2, DiT, UViT, Trunk, MLP])
def test_a_pair_without_its_image_is_refused(build):
    spec = DataSpec((2,), paired=True) if build is MLP else SPEC
    network = build(spec)
    with pytest.raises(ConfigError, match=r"give it by Condition\(image=...\)"):
        network(torch.zeros(1, *spec.shape), torch.zeros(1), Condition())


def test_data_without_pairs_leave_images_to_the_process():
    network = UNet(DataSpec((2, 8, 8)))
    x = torch.randn(1, 2, 8, 8)
    told = Condition(image=torch.randn(1, 2, 8, 8))
    assert torch.equal(network(x, torch.zeros(1), told), network(x, torch.zeros(1), Condition()))


def test_forgetting_keeps_the_image():
    torch.manual_seed(0)
    network = DiT(SPEC, width=16).eval()
    torch.nn.init.normal_(network.out.weight)
    x, image = torch.randn(2, 1, 2, 8, 8)
    cond = Condition(image=image)
    said = network(x, torch.zeros(1), cond.forgotten())
    assert torch.equal(said, network(x, torch.zeros(1), cond))
    assert not torch.equal(said, network(x, torch.zeros(1), Condition(image=-image)))
