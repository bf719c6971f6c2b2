"""Every network obeys the laws of the conformance kit, as a stranger's does."""

from functools import partial

import pytest

from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.mlp import MLP
from diffx_backbones.trunk import Trunk
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_core.testing import BackboneSuite

NETWORKS = {
    "mlp": partial(MLP, width=16, depth=2),
    "unet": partial(UNet, channels=8, mults=(1, 2), attention=(1,)),
    "unet-plain": partial(UNet, channels=8, blocks=2, attention=()),
    "unet-ddpmpp": partial(
        UNet,
        preset="ddpmpp",
        channels=8,
        mults=(1, 2),
        blocks=1,
        attention_sides=(4,),
        checkpointing=True,
    ),
    "edm2": partial(EDM2, channels=8, mults=(1, 2), attention_sides=(4,)),
    "edm2-plain": partial(EDM2, channels=8, blocks=2, attention_sides=(), checkpointing=True),
    "uvit": partial(UViT, width=16, depth=3),
    "uvit-modern": partial(
        UViT,
        preset="small/2",
        width=16,
        depth=5,
        heads=2,
        pe="rope",
        qk_norm=True,
        activation="swiglu",
        checkpointing=True,
    ),
    "timm": partial(Trunk, name="test_vit"),
    "dit": partial(DiT, patch=4, width=16, depth=2),
    "dit-qk-norm": partial(DiT, patch=2, width=16, qk_norm=True),
    "dit-modern": partial(
        DiT,
        preset="small/2",
        width=16,
        depth=2,
        heads=2,
        activation="swiglu",
        pe="rope",
        qk_norm=True,
        registers=3,
    ),
    "dit-checkpointed": partial(DiT, width=16, depth=2, activation="gelu", checkpointing=True),
}


class TestEveryNetwork(BackboneSuite):
    @pytest.fixture(autouse=True, params=NETWORKS)
    def network(self, request):
        self.build = NETWORKS[request.param]

    def component(self):
        return self.build
