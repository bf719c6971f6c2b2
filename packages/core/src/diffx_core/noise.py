"""Randomness as a pure function: the same key gives the same numbers, whatever else was drawn.

Every number comes from a key (seed, purpose, sample index, step). So the noise of image i does not
depend, in a single bit, on the batch it is drawn in, on the order, or on the number of processes.
Drawn on the CPU, for the same reason. Shapes: a source of B indices gives tensors (B, *shape).
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.options.checks import whole

Words = npt.NDArray[np.uint64]
MASK = (1 << 64) - 1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FEW = 8
"""Keys that are found faster one by one."""
SHARE = 2**14
"""Numbers that a thread draws in 0.1 ms, so that calling one is worth it."""
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


def keys(before: Sequence[int | str], each: Sequence[int], after: Sequence[int]) -> Words:
    """`key(*before, one, *after)` for every one of `each`, all at once."""
    if len(each) <= FEW:
        return np.array([key(*before, one, *after) for one in each], dtype=np.uint64)
    state = np.full(len(each), key(*before), dtype=np.uint64)
    words = np.array([one & MASK for one in each], dtype=np.uint64)
    for word in [words, *(np.full_like(words, part & MASK) for part in after)]:
        total = state + GOLDEN
        carry = (total < GOLDEN).astype(np.uint64) << np.uint64(34)  # the 65th bit, shifted by 30
        state = total ^ word
        state = (state ^ (state >> np.uint64(30)) ^ carry) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def generator(*parts: int | str) -> torch.Generator:
    """A generator on the CPU for a few draws; torch keeps no more than 32 bits of its key."""
    return torch.Generator().manual_seed(key(*parts))


def streams(keys: Words) -> Iterator[np.random.Generator]:
    """A stream of its own for each key: Philox reads all 64 bits, so no two images are the same.

    It is one generator of the thread, which is set to the beginning of each stream in turn: making
    a new one takes ten times as long, since it asks the system for a seed.
    """
    if not hasattr(LOCAL, "bits"):
        LOCAL.bits = np.random.Philox(key=0)
        LOCAL.beginning = LOCAL.bits.state
    bits, state = LOCAL.bits, LOCAL.beginning
    one = np.random.Generator(bits)
    for word in keys:
        state["state"]["key"][0] = word
        bits.state = state
        yield one


LOCAL = threading.local()


def fill(rows: npt.NDArray[Any], words: Words, threads: int = 1) -> None:
    """Standard normal noise in every row, each from the stream of its key.

    Args:
        rows: what is filled.
        words: the key of each row.
        threads: how many may draw; which of them draws a row makes no difference to it.
    """
    hands = min(threads, rows.size // SHARE, len(rows))
    if hands < 2:
        _fill(rows, words)
    else:
        shares = (np.array_split(one, hands) for one in (rows, words))
        # A child process has none of its parent's threads.
        list(_hands(os.getpid(), threads).map(_fill, *shares))


def _fill(rows: npt.NDArray[Any], words: Words) -> None:
    for row, one in zip(rows, streams(words), strict=True):
        one.standard_normal(dtype=rows.dtype, out=row)


@lru_cache(maxsize=8)
def _hands(process: int, count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=f"diffx-noise-{process}")


Span = tuple[float, float]
"""Where noise acts: from one value of sigma / (alpha + sigma) to another, from 1 down to 0."""


@runtime_checkable
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


def each_index(indices: Sequence[int] | npt.NDArray[Any] | Tensor) -> Sequence[int]:
    """Indices as Python's own whole numbers."""
    if isinstance(indices, range):
        return indices
    given: object = indices
    if not isinstance(given, Iterable) or getattr(given, "ndim", 1) != 1:
        raise ConfigError(f"indices must be one whole number for each sample, got {indices!r}")
    found = tuple(indices.tolist() if isinstance(indices, Tensor | np.ndarray) else indices)
    if all(type(one) is int for one in found):  # a look at each one takes 8 us
        return found
    return tuple(whole("index", one, least=None) for one in found)


def any_seed(seed: int) -> int:
    """A seed as Python's own whole number."""
    return whole("seed", seed, least=None)


@frozen
class NoiseSource:
    """Independent streams of noise, one for each sample index.

    Args:
        seed: of the whole run.
        indices: global index of each sample in the batch.
        purpose: keeps the streams of different uses apart.
        device: where the noise is wanted.
        dtype: of the noise; float32 and float64 are different streams.

    Examples:
        >>> noise = NoiseSource(0, [3, 7])
        >>> noise.normal((2,), step=0).shape
        torch.Size([2, 2])
        >>> alone = NoiseSource(0, [7])
        >>> torch.equal(alone.normal((2,), step=0)[0], noise.normal((2,), step=0)[1])
        True
    """

    seed: int = field(converter=any_seed)
    indices: Sequence[int] = field(converter=each_index)
    purpose: str = "sample"
    device: torch.device = field(factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def normal(
        self, shape: Sequence[int], step: int, substep: int = 0, span: Span | None = None
    ) -> Tensor:
        """Standard normal noise (B, *shape) for one use within one step, wherever it acts."""
        del span
        out = torch.empty(len(self.indices), *shape, dtype=self.dtype)
        # Beside a network on the CPU torch's own threads are in the way: they wait busily.
        threads = 1 if self.device.type == "cpu" else torch.get_num_threads()
        fill(out.numpy(), self._keys(step, substep), threads)
        return out.to(self.device)

    def uniform(self, step: int, substep: int = 0) -> Tensor:
        """One number (B,) in [0, 1) for each sample."""
        # A key is a uniform number of 64 bits; as many as are exact in the dtype are used.
        bits = 24 if self.dtype == torch.float32 else 53
        draws = (self._keys(step, substep) >> np.uint64(64 - bits)).astype(np.float64) * 2.0**-bits
        return torch.from_numpy(draws).to(self.dtype).to(self.device)

    def named(self, purpose: str) -> "NoiseSource":
        """The streams of the same samples for another use."""
        return evolve(self, purpose=purpose)

    def of(self, indices: Sequence[int]) -> "NoiseSource":
        """The streams of other samples."""
        return evolve(self, indices=indices)

    def _keys(self, step: int, substep: int) -> Words:
        return keys((self.seed, self.purpose), self.indices, (step, substep))
