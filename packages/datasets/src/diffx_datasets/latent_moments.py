"""The moments of latents, by which each channel gets mean zero and variance one."""

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor

from diffx_core import DataError
from diffx_datasets.latent_shards import Shard

CHUNK = 1024
"""Latents that are looked at together."""


@frozen(kw_only=True)
class Standard:
    """What makes latents of unit variance.

    Args:
        mean: of each channel.
        std: of each channel, 1 where all values are the same.
        rms: root mean square of the standardised values.
    """

    mean: Sequence[float]
    std: Sequence[float]
    rms: float

    def applied_(self, latents: Tensor) -> Tensor:
        """(z - mean) / std, in place."""
        return latents.sub_(self._shaped(self.mean, latents)).div_(self._shaped(self.std, latents))

    def undone(self, x: Tensor) -> Tensor:
        """The latents z of standardised ones."""
        return x * self._shaped(self.std, x) + self._shaped(self.mean, x)

    def _shaped(self, values: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def measured(shards: Sequence[Shard]) -> Standard:
    """The moments of all latents, in float64.

    Raises:
        DataError: some are not finite, or all are the same.
    """
    first = shards[0].latents
    total = torch.zeros(2, first.shape[1], dtype=torch.float64)
    for shard in shards:
        for part in shard.latents.split(CHUNK):
            z = part.double()
            if not z.isfinite().all():
                raise DataError(f"latents: {shard.path} has values that are not finite")
            total += torch.stack([z.sum((0, 2, 3)), z.square().sum((0, 2, 3))])
    count = sum(len(shard.latents) for shard in shards) * first[0, 0].numel()
    mean, square = total / count
    variance = (square - mean**2).clamp_min(0)
    std = torch.where(variance > 0, variance.sqrt(), 1.0)
    rms = (variance / std**2).mean().sqrt().item()
    if not rms:
        raise DataError(f"latents: all in {shards[0].path.parent} are the same")
    return Standard(mean=mean.tolist(), std=std.tolist(), rms=rms)
