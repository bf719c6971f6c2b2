"""A pass over all latents: what makes each channel of mean 0 and variance 1, and their sums."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from attrs import frozen
from torch import Tensor

from diffx_core import DataError
from diffx_datasets.latent_shards import Shard
from diffx_datasets.waiting import waiting

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


@frozen(kw_only=True)
class Measured:
    """What a pass over all latents says.

    Args:
        standard: what makes them of unit variance.
        sums: SHA-256 of the latents, and of the mirrored ones if there are any, as they are read:
            in float32 one after another, whatever the files have.
    """

    standard: Standard
    sums: Mapping[str, str]


def measured(shards: Sequence[Shard]) -> Measured:
    """The moments of all latents, in float64, and what tells them from others.

    Raises:
        DataError: some are not finite, or all are the same.
    """
    first = shards[0].latents
    total = torch.zeros(2, first.shape[1], dtype=torch.float64)
    sums = {"latents": hashlib.sha256()}
    if shards[0].mirrored is not None:
        sums["mirrored"] = hashlib.sha256()
    for shard in waiting(shards, "latents: shards"):
        for name, sum_ in sums.items():
            for part in _parts(shard, name):
                sum_.update(part.numpy().tobytes())
                if name == "latents":
                    z = part.double()
                    total += torch.stack([z.sum((0, 2, 3)), z.square().sum((0, 2, 3))])
    count = sum(len(shard.latents) for shard in shards) * first[0, 0].numel()
    standard = _standard(*(total / count))
    if not standard.rms:
        raise DataError(f"latents: all in {shards[0].path.parent} are the same")
    return Measured(standard=standard, sums={k: one.hexdigest() for k, one in sums.items()})


def _parts(shard: Shard, name: str) -> Iterator[Tensor]:
    """The latents, or the mirrored ones, as training reads them."""
    for part in shard.tensors()[name].split(CHUNK):
        x = part.float().contiguous()
        if not x.isfinite().all():
            raise DataError(
                f"latents: {shard.path} has values in {name} that are not finite; encode it again"
            )
        yield x


def _standard(mean: Tensor, square: Tensor) -> Standard:
    """By the means of all values and of their squares, for each channel."""
    variance = (square - mean**2).clamp_min(0)
    std = torch.where(variance > 0, variance.sqrt(), 1.0)
    rms = (variance / std**2).mean().sqrt().item()
    return Standard(mean=mean.tolist(), std=std.tolist(), rms=rms)
