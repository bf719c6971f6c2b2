"""Networks whose training is timed side by side: as many parameters and operations as can be had.

`dit` has exactly those of DiT as published; diffusers gives every block an embedder of its own, so
its DiT has more. `ddpm_unet` has exactly those of a UNet2DModel of diffusers, `unet` and the Unet
of denoising-diffusion-pytorch come within a tenth of them.
"""

import importlib.util
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_backbones.dit import DiT
from diffx_backbones.unet import UNet
from diffx_core import Condition, DataSpec
from published import PlainDiT

CLASSES = 10
SHAPE = (3, 32, 32)
WIDTH, DEPTH, HEADS, PATCH = 384, 4, 6, 4
CHANNELS, BLOCKS = (64, 128, 128), 2
Call = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


class Contestant(NamedTuple):
    """A network, and how it is asked.

    Args:
        race: those of one race do the same work.
        name: of the network.
        build: makes it.
        call: what it says of x, at times t, of classes y.
        library: without which there is none.
        is_compiled: whether torch.compile makes it faster first.
    """

    race: str
    name: str
    build: Callable[[], nn.Module]
    call: Call
    library: str | None = None
    is_compiled: bool = False

    @property
    def missing(self) -> str | None:
        """What is not installed: its library, or what compiles it; None if nothing is."""
        if self.is_compiled and shutil.which("c++") is None:
            return "c++"
        is_there = self.library is None or importlib.util.find_spec(self.library) is not None
        return None if is_there else self.library

    @property
    def is_there(self) -> bool:
        """Whether it can be timed here."""
        return self.missing is None


def _told(network: nn.Module, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    said: Tensor = network(x, t, Condition(label=y))
    return said


def _untold(network: nn.Module, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    said: Tensor = network(x, t, Condition())
    return said


def _diffusers_dit() -> nn.Module:
    from diffusers import DiTTransformer2DModel

    return DiTTransformer2DModel(
        num_attention_heads=HEADS,
        attention_head_dim=WIDTH // HEADS,
        in_channels=SHAPE[0],
        num_layers=DEPTH,
        sample_size=SHAPE[1],
        patch_size=PATCH,
        num_embeds_ada_norm=CLASSES,
    )


def _diffusers_unet() -> nn.Module:
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=SHAPE[1],
        block_out_channels=CHANNELS,
        layers_per_block=BLOCKS,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )


def _lucidrains() -> nn.Module:
    from denoising_diffusion_pytorch import Unet

    return Unet(72, dim_mults=(1, 2, 2))


def _said_by_diffusers(network: nn.Module, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    said: Tensor = network(x, t, class_labels=y).sample
    return said


def _dit() -> nn.Module:
    return DiT(
        DataSpec(SHAPE, CLASSES),
        patch=PATCH,
        width=WIDTH,
        depth=DEPTH,
        heads=HEADS,
        activation="gelu",
        noise_features=256,
    )


CONTESTANTS = [
    Contestant("dit", "diffx dit", _dit, _told),
    Contestant("dit", "diffx dit, compiled", _dit, _told, is_compiled=True),
    Contestant(
        "dit",
        "DiT as published",
        lambda: PlainDiT(
            side=SHAPE[1],
            channels=SHAPE[0],
            outputs=SHAPE[0],
            patch=PATCH,
            width=WIDTH,
            depth=DEPTH,
            heads=HEADS,
            classes=CLASSES,
        ),
        lambda network, x, t, y: network(x, t, y),
    ),
    Contestant(
        "dit", "diffusers DiTTransformer2DModel", _diffusers_dit, _said_by_diffusers, "diffusers"
    ),
    Contestant(
        "unet",
        "diffx unet",
        lambda: UNet(DataSpec(SHAPE), channels=80, mults=(1, 2, 2), blocks=2, attention=(1,)),
        _untold,
    ),
    Contestant(
        "unet",
        "diffx ddpm_unet",
        lambda: DDPMUNet(
            DataSpec(SHAPE), channels=CHANNELS, blocks=BLOCKS, attention=(1,), head_width=64
        ),
        _untold,
    ),
    Contestant(
        "unet",
        "diffusers UNet2DModel",
        _diffusers_unet,
        lambda network, x, t, y: network(x, t).sample,
        "diffusers",
    ),
    Contestant(
        "unet",
        "denoising-diffusion-pytorch Unet",
        _lucidrains,
        lambda network, x, t, y: network(x, t),
        "denoising_diffusion_pytorch",
    ),
]


class Work(NamedTuple):
    """What a network takes."""

    parameters: int
    flop: int
    """Of one example on the way there; on the way back it is twice as much."""


def work(contestant: Contestant) -> Work:
    """Counted, with nothing allocated."""
    with torch.device("meta"):
        network = contestant.build().eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            contestant.call(network, *examples(1))
    return Work(
        sum(p.numel() for p in network.parameters() if p.requires_grad), counter.get_total_flops()
    )


def examples(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, t, y."""
    y: Any = torch.zeros(count, dtype=torch.int64)
    return torch.randn(count, *SHAPE), 999 * torch.rand(count), y
