"""Randomness as a pure function: the same key gives the same numbers, whatever else was drawn.

Every number comes from a key (seed, purpose, sample index, step). So the noise of image i does not
depend, in a single bit, on the batch it is drawn in, on the order, or on the number of processes.
Drawn on the CPU, for the same reason. Shapes: a source of B indices gives tensors (B, *shape).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from attrs import evolve, field, frozen
from torch import Tensor

MASK = (1 << 64) - 1
START = -1
"""The step whose noise is the starting point of sampling."""


def key(*parts: int | str) -> int:
    """A 64-bit key of all parts, by the mixing function of SplitMix64 (Steele et al., 2014)."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        word = int.from_bytes(part.encode(), "little") if isinstance(part, str) else part & MASK
        while True:
            state = (state + 0x9E3779B97F4A7C15) ^ (word & MASK)
            state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
            state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
            state ^= state >> 31
            word >>= 64
            if not word:
                break
    return state


def generator(*parts: int | str) -> torch.Generator:
    """A generator on the CPU for a few draws; torch keeps no more than 32 bits of its key."""
    return torch.Generator().manual_seed(key(*parts))


def stream(*parts: int | str) -> np.random.Generator:
    """A stream of its own for each key: Philox reads all 64 bits, so no two images are the same."""
    return np.random.Generator(np.random.Philox(key=key(*parts)))


Span = tuple[float, float]
"""Where noise acts: from one value of sigma / (alpha + sigma) to another, from 1 down to 0."""


class Noise(Protocol):
    """Where randomness comes from: a `NoiseSource`, or a probe in its place."""

    @property
    def device(self) -> torch.device:
        """The device of the noise, and so of the samples."""
        ...

    def normal(
        self, shape: Sequence[int], step: int, substep: int = 0, span: Span | None = None
    ) -> Tensor:
        """Standard normal noise (B, *shape) for one use within one step.

        Args:
            shape: of one sample.
            step: which step.
            substep: which use within the step.
            span: where it acts, for sources whose noise is a path.
        """
        ...


@frozen
class NoiseSource:
    """Independent streams of noise, one for each sample index.

    Args:
        seed: of the whole run.
        indices: global index of each sample in the batch.
        purpose: keeps the streams of different uses apart.
        device: where the noise is wanted.
        dtype: of the noise; float32 and float64 are different streams.
    """

    seed: int
    indices: Sequence[int]
    purpose: str = "sample"
    device: torch.device = field(factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def normal(
        self, shape: Sequence[int], step: int, substep: int = 0, span: Span | None = None
    ) -> Tensor:
        """Standard normal noise (B, *shape) for one use within one step, wherever it acts."""
        del span
        out = torch.empty(len(self.indices), *shape, dtype=self.dtype)
        rows = out.numpy()
        for row, index in zip(rows, self.indices, strict=True):
            one = stream(self.seed, self.purpose, index, step, substep)
            one.standard_normal(dtype=rows.dtype, out=row)
        return out.to(self.device)

    def uniform(self, step: int, substep: int = 0) -> Tensor:
        """One number (B,) in [0, 1) for each sample."""
        draws = [
            stream(self.seed, self.purpose, index, step, substep).random() for index in self.indices
        ]
        return torch.tensor(draws, dtype=self.dtype, device=self.device)

    def named(self, purpose: str) -> "NoiseSource":
        """The streams of the same samples for another use."""
        return evolve(self, purpose=purpose)
