"""Features of a convolutional network with random weights: no data, no files, always the same.

References:
    Lee, Kim and Lee, Revisiting the Evaluation of Deep Generative Models, 2022, arXiv:2208.09218.
"""

import math
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, relu

from diffx_core import DataSpec
from diffx_metrics.features.seen import Features, Seen

WIDTHS = (32, 48, 64)
"""Channels of the layers; each is half as large as the one before, as far as that goes."""


@frozen(kw_only=True, eq=False)
class RandomConv(Features):
    """Mean and standard deviation over the image, of each channel of each of three layers.

    Args:
        spec: the facts about the data.
        seed: of the weights.
        device: where they are.
    """

    spec: DataSpec
    seed: int = 0
    device: torch.device = field(factory=lambda: torch.device("cpu"))
    _weights: tuple[Tensor, ...] = field(init=False)

    @_weights.default
    def _drawn(self) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(self.seed % 2**63)
        sizes = zip((self.spec.shape[0], *WIDTHS), WIDTHS, strict=False)
        return tuple(
            torch.randn(out, into, 3, 3, generator=generator).to(self.device)
            * math.sqrt(2 / (9 * into))
            for into, out in sizes
        )

    @property
    def name(self) -> str:
        """By the seed."""
        return f"rand-conv,seed={self.seed}"

    @property
    def facts(self) -> dict[str, Any]:
        """The seed and the widths of the layers."""
        return {"seed": self.seed, "widths": list(WIDTHS)}

    @torch.no_grad()
    def see(self, x: Tensor) -> Seen:
        """The features (B, 288) of images (B, C, H, W), at unit variance."""
        h, found = x.to(self.device).float() / self.spec.sigma_data, list[Tensor]()
        for weight in self._weights:
            h = relu(conv2d(h, weight, padding=1))
            found += [h.mean((2, 3)), h.flatten(2).std(2, correction=0)]
            h = avg_pool2d(h, 2, ceil_mode=True) if max(h.shape[2:]) > 1 else h
        return Seen(torch.cat(found, 1).cpu())
