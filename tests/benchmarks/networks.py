"""Training steps of small networks with one option changed at a time: `python networks.py`.

Images of 3 x 32 x 32 in batches of 8, forward and backward without an optimizer, one thread; the
best of five.
"""

import time

import torch
from torch import nn

from diffx_backbones.dit import DiT
from diffx_backbones.unet import UNet
from diffx_core import Condition, DataSpec

SPEC = DataSpec((3, 32, 32))
BATCH = 8
CASES = {
    "unet small": (UNet, {"preset": "small"}),
    "unet small, 16 heads": (UNet, {"preset": "small", "heads": 16}),
    "dit small/4": (DiT, {"preset": "small/4"}),
    "dit small/4, 32 heads": (DiT, {"preset": "small/4", "heads": 32}),
    "dit small/4, rope": (DiT, {"preset": "small/4", "pe": "rope"}),
    "dit small/4, qk_norm": (DiT, {"preset": "small/4", "qk_norm": True}),
    "dit small/4, swiglu": (DiT, {"preset": "small/4", "activation": "swiglu"}),
    "dit small/4, checkpointing": (DiT, {"preset": "small/4", "checkpointing": True}),
}


def rate(network: nn.Module, *, is_bf16: bool, repeats: int = 5) -> float:
    """Images per second."""
    x, noise_label = torch.randn(BATCH, *SPEC.shape), 1000 * torch.rand(BATCH)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            y = network(x, noise_label, Condition())
        y.float().square().sum().backward()
        best = min(best, time.perf_counter() - start)
    return BATCH / best


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, (build, options) in CASES.items():
        network = build(SPEC, **options)
        figures = [rate(network, is_bf16=one) for one in (False, True)]
        print(f"| `{name}` | {figures[0]:.0f} | {figures[1]:.0f} |")
