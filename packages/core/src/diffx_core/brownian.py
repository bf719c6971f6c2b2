"""Noise that is a path: finer steps see more of the same Brownian motion.

Each sample has a Brownian motion W of its own over s = sigma / (alpha + sigma) from 0 to 1, and the
noise of a step from s' to s is (W(s') - W(s)) / sqrt(s' - s): standard normal, and the same numbers
in sum however the way is divided. So the samples of an SDE method converge, and not only their law.

W is known at the ends, and at every midpoint that the way to s leads through by

    W(m) = (W(l) + W(r)) / 2 + sqrt(r - l) / 2  z,

with z keyed by the midpoint: nothing has to be kept (Li et al., 2020, arXiv:2001.01328, section 4).
"""

import math
from collections.abc import Sequence

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.noise import START, NoiseSource, Span, any_seed, each_index

DEPTH = 26
"""Halvings of [0, 1]: two times in one of the last cells would be told apart by new noise alone."""


@frozen(eq=False)
class BrownianSource:
    """Independent Brownian motions, one for each sample index.

    Args:
        seed: of the whole run.
        indices: global index of each sample in the batch.
        device: where the noise is wanted.
        dtype: of the noise.
    """

    seed: int = field(converter=any_seed)
    indices: Sequence[int] = field(converter=each_index)
    device: torch.device = field(factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    _path: dict[tuple[int, int], Tensor] = field(factory=dict, init=False, repr=False)

    def normal(
        self, shape: Sequence[int], step: int, substep: int = 0, span: Span | None = None
    ) -> Tensor:
        """The increment over the span, scaled to unit variance; independent noise without one."""
        if span is None or step == START:
            return self._source("start").normal(shape, step, substep)
        high, low = max(span), min(span)
        if not high > low:
            return self._source("point").normal(shape, step, substep)
        rise = self._at(high, shape) - self._at(low, shape)
        return rise.mul_(1 / math.sqrt(high - low)).to(self.device)

    def _at(self, s: float, shape: Sequence[int]) -> Tensor:
        """W(s), from the path of midpoints that leads to s."""
        left, right = self._zero(shape), self._node(0, 1, shape, None, 1.0)
        low, high = 0.0, 1.0
        used = {(0, 1)}
        for depth in range(1, DEPTH + 1):
            middle, cell = (low + high) / 2, round((low + high) * 2 ** (depth - 1))
            used.add((depth, cell))
            value = self._node(depth, cell, shape, (left + right) / 2, math.sqrt(high - low) / 2)
            if s < middle:
                right, high = value, middle
            else:
                left, low = value, middle
            if s in (low, high):
                break
        for stale in set(self._path) - used:  # the next time is near, so most of the path is shared
            del self._path[stale]
        share = (s - low) / (high - low)
        return torch.lerp(left, right, share)

    def _node(
        self, depth: int, cell: int, shape: Sequence[int], mean: Tensor | None, std: float
    ) -> Tensor:
        if (depth, cell) not in self._path:
            z = self._source("tree").normal(shape, depth, cell).mul_(std)
            self._path[depth, cell] = z if mean is None else z.add_(mean)
        return self._path[depth, cell]

    def _zero(self, shape: Sequence[int]) -> Tensor:
        return torch.zeros(len(self.indices), *shape, dtype=self.dtype)

    def _source(self, purpose: str) -> NoiseSource:
        return NoiseSource(self.seed, self.indices, f"brownian {purpose}", dtype=self.dtype)
