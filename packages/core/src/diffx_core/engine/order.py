"""Which examples a step sees: a pure function of (seed, epoch, step), so resuming is easy.

Each epoch is a permutation of the data, keyed by (seed, epoch). Step s takes slots [s B, (s + 1) B)
of all epochs laid end to end: no example is dropped, none is seen twice in an epoch.
"""

from functools import lru_cache

import torch
from attrs import field, frozen
from attrs.validators import ge
from torch import Tensor

from diffx_core.noise import generator


@lru_cache(maxsize=4)
def permutation(length: int, seed: int, epoch: int) -> Tensor:
    """The permutation of one epoch, kept while its steps ask for it."""
    return torch.randperm(length, generator=generator(seed, "order", epoch))


@frozen
class DataOrder:
    """The order of the examples.

    Args:
        length: examples in the dataset.
        batch_size: examples in a step.
        seed: of the permutations.
    """

    length: int = field(validator=ge(1))
    batch_size: int = field(validator=ge(1))
    seed: int = 0

    def epoch(self, number: int) -> Tensor:
        """The permutation of one epoch."""
        return permutation(self.length, self.seed, number)

    def indices(self, step: int) -> Tensor:
        """The positions (batch_size,) in the dataset that a step sees."""
        first, end = step * self.batch_size, (step + 1) * self.batch_size
        parts = []
        while first < end:
            number, offset = divmod(first, self.length)
            parts.append(self.epoch(number)[offset : offset + end - first])
            first += len(parts[-1])
        return torch.cat(parts)
