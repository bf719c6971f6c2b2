"""Writes diffusers.json: what networks of diffusers say, for where diffusers is not installed.

It needs diffusers, and tests/benchmarks on the path.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from published import filled

FILE = Path(__file__).with_name("diffusers.json")
UNET: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 8,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": ("UNet2DModel", UNET),
    "ddpm": (
        "UNet2DModel",
        {
            **UNET,
            "attention_head_dim": None,
            "downsample_padding": 0,
            "flip_sin_to_cos": False,
            "freq_shift": 1,
            "norm_eps": 1e-6,
        },
    ),
    "adm": (
        "UNet2DModel",
        {
            **UNET,
            "out_channels": 6,
            "num_class_embeds": 5,
            "resnet_time_scale_shift": "scale_shift",
            "attn_norm_num_groups": 8,
            "downsample_type": "resnet",
            "upsample_type": "resnet",
            "down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D"],
            "up_block_types": ["AttnUpBlock2D", "ResnetUpsampleBlock2D"],
        },
    ),
    "dit": (
        "DiTTransformer2DModel",
        {
            "sample_size": 8,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "num_layers": 2,
            "num_embeds_ada_norm": 5,
            "in_channels": 3,
            "out_channels": 6,
        },
    ),
}
TIMES = (3.0, 700.0)
LABELS = (4, 0)
X = torch.linspace(-40, 40, 2 * 3 * 8 * 8).sin().view(2, 3, 8, 8)


def tensors_of(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Weights by name; those that tell the blocks of a DiT what is told are copies of one."""
    alike = re.compile(r"(transformer_blocks)\.\d+\.(norm1\.emb)")
    return {
        name: filled(alike.sub(r"\1.0.\2", name), tuple(shape)) for name, shape in shapes.items()
    }


@torch.no_grad()
def said(network: nn.Module) -> Tensor:
    """What a network of diffusers says of `X`, without learned variances."""
    label = torch.tensor(LABELS) if has_classes(network.config) else None
    y: Tensor = network(X, torch.tensor(TIMES), class_labels=label).sample
    return y[:, :3]


def has_classes(config: Any) -> bool:
    """Whether a network is told a class."""
    return bool(config.get("num_class_embeds") or config.get("num_embeds_ada_norm"))


def built(case: str) -> nn.Module:
    """A network of diffusers with weights of `tensors_of`."""
    import diffusers

    kind, config = CASES[case]
    network: nn.Module = getattr(diffusers, kind)(**config).eval()
    shapes = {name: list(one.shape) for name, one in network.state_dict().items()}
    network.load_state_dict(tensors_of(shapes))
    return network


if __name__ == "__main__":
    record = {}
    for case, (kind, config) in CASES.items():
        network = built(case)
        record[case] = {
            "config": {"_class_name": kind, **config},
            "shapes": {name: list(one.shape) for name, one in network.state_dict().items()},
            "said": [round(one, 5) for one in said(network).flatten()[::6].tolist()],
        }
    FILE.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
