"""Gradient checkpointing, in every network that has it."""

import pytest
import torch

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.trunk import Trunk
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_core import Condition, DataSpec

SPEC = DataSpec((2, 8, 12), num_classes=3)
NETWORKS = {
    "unet": (
        UNet,
        {"channels": 8, "mults": (1, 2), "blocks": 2, "attention": (1,), "dropout": 0.2},
    ),
    "ddpm_unet": (DDPMUNet, {"channels": (8, 16), "norm_groups": 4, "dropout": 0.2}),
    "edm2": (EDM2, {"channels": 8, "mults": (1, 2), "attention_sides": (4,), "dropout": 0.2}),
    "dit": (DiT, {"width": 16, "depth": 4}),
    "uvit": (UViT, {"width": 16, "depth": 5}),
    "timm": (Trunk, {"name": "test_vit"}),
}


def gradients_and_kept(build, options, *, checkpointing):
    """The gradient of every parameter, and how many numbers were kept for them."""
    torch.manual_seed(0)
    network = build(SPEC, **options, checkpointing=checkpointing).double()
    for p in network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    sizes = {}

    def keep(tensor):
        sizes[tensor.data_ptr()] = tensor.numel()
        return tensor

    x = torch.linspace(-1, 1, 3 * 192).double().view(3, 2, 8, 12)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = network(x, torch.arange(3).double(), Condition(torch.tensor([0, 1, -1])))
    y.square().sum().backward()
    weights = {p.data_ptr() for p in network.parameters()}
    kept = sum(size for place, size in sizes.items() if place not in weights)
    return {name: p.grad for name, p in network.named_parameters()}, kept


@pytest.mark.parametrize(("build", "options"), NETWORKS.values(), ids=NETWORKS)
def test_the_gradients_are_the_same_and_less_is_kept_for_them(build, options):
    plain, kept = gradients_and_kept(build, options, checkpointing=False)
    again, kept_again = gradients_and_kept(build, options, checkpointing=True)
    assert [name for name in plain if not torch.equal(plain[name], again[name])] == []
    assert kept_again < kept / 3
