"""One small network of each kind, and the inputs that it understands."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.mlp import MLP
from diffx_backbones.trunk import Trunk
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_core import Condition, DataSpec

B = 6
NUM_CLASSES = 3
VECTOR = (5,)
IMAGE = (2, 8, 12)


class Case(NamedTuple):
    shape: tuple[int, ...]
    build: Callable[[DataSpec], nn.Module]

    def network(self, num_classes: int | None = NUM_CLASSES) -> nn.Module:
        torch.manual_seed(0)
        return self.build(DataSpec(self.shape, num_classes)).double()


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "mlp": Case(VECTOR, lambda spec: MLP(spec, width=16, depth=2)),
        "unet": Case(IMAGE, lambda spec: UNet(spec, channels=8, mults=(1, 2), attention=(1,))),
        "unet-plain": Case(IMAGE, lambda spec: UNet(spec, channels=8, blocks=2, attention=())),
        "unet-apart": Case(
            IMAGE,
            lambda spec: UNet(
                spec,
                channels=8,
                mults=(1, 2),
                attention=(1,),
                steps_apart=True,
                scaled_skips=True,
                checkpointing=True,
            ),
        ),
        "ddpm_unet": Case(IMAGE, lambda spec: DDPMUNet(spec, channels=(8, 16), norm_groups=4)),
        "edm2": Case(
            IMAGE, lambda spec: EDM2(spec, channels=8, mults=(1, 2), attention_sides=(4,))
        ),
        "edm2-checkpointed": Case(
            IMAGE,
            lambda spec: EDM2(
                spec, channels=8, mults=(1, 2), attention_sides=(), checkpointing=True
            ),
        ),
        "uvit": Case(IMAGE, lambda spec: UViT(spec, patch=4, width=16, depth=3)),
        "uvit-rope": Case(
            IMAGE, lambda spec: UViT(spec, patch=2, width=16, depth=3, pe="rope", qk_norm=True)
        ),
        "timm": Case(IMAGE, lambda spec: Trunk(spec, name="test_vit", patch=2)),
        "dit": Case(IMAGE, lambda spec: DiT(spec, patch=4, width=16, depth=2)),
        "dit-qk-norm": Case(IMAGE, lambda spec: DiT(spec, patch=2, width=16, qk_norm=True)),
        "dit-modern": Case(
            IMAGE,
            lambda spec: DiT(
                spec, patch=2, width=16, activation="swiglu", pe="rope", qk_norm=True, registers=3
            ),
        ),
        "dit-checkpointed": Case(
            IMAGE, lambda spec: DiT(spec, width=16, activation="gelu", checkpointing=True)
        ),
    }
)


Train = Callable[..., nn.Module]


class Inputs(NamedTuple):
    x: Tensor
    noise_label: Tensor
    cond: Condition


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine make tiny tensors fifty times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=CASES)
def case(request) -> Case:
    return CASES[request.param]


@pytest.fixture
def inputs(case) -> Inputs:
    generator = torch.Generator().manual_seed(1)
    return Inputs(
        x=torch.randn(B, *case.shape, generator=generator, dtype=torch.float64),
        noise_label=1000 * torch.rand(B, generator=generator, dtype=torch.float64),
        cond=Condition(label=torch.tensor([0, 1, 2, -1, 0, 1])),
    )


@pytest.fixture
def train(inputs) -> Train:
    """Steps towards a random target: the first moves the output layer, later ones all the rest."""
    generator = torch.Generator().manual_seed(2)
    target = torch.randn(inputs.x.shape, generator=generator, dtype=torch.float64)

    def steps(network: nn.Module, num_steps: int = 3) -> nn.Module:
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
        for _ in range(num_steps):
            optimizer.zero_grad()
            (network(*inputs) - target).square().sum().backward()
            optimizer.step()
        optimizer.zero_grad()
        return network

    return steps


@pytest.fixture
def trained(case, train) -> nn.Module:
    """A network that has left its initialisation, so that zeros hide nothing."""
    return train(case.network())
