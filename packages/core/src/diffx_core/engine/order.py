"""Which examples a step sees: a pure function of (seed, epoch, step), so resuming is easy.

Each epoch is a permutation of the data, keyed by (seed, epoch). Step s takes slots [s B, (s + 1) B)
of all epochs laid end to end: no example is dropped, none is seen twice in an epoch. Of the B slots
of a step, each of several processes takes its own.
"""

from functools import lru_cache
from typing import Self

import torch
from attrs import evolve, field, frozen
from attrs.validators import ge
from torch import Tensor

from diffx_core.errors import DataError
from diffx_core.noise import generator


@lru_cache(maxsize=4)
def permutation(length: int, seed: int, epoch: int) -> Tensor:
    """The permutation of one epoch, kept while its steps ask for it."""
    return torch.randperm(length, generator=generator(seed, "order", epoch))


@lru_cache(maxsize=4)
def divided(length: int, seed: int, held_out: int) -> tuple[Tensor, Tensor]:
    """The positions that training sees and those it does not, each in their order."""
    shuffled = torch.randperm(length, generator=generator(seed, "held out"))
    return shuffled[held_out:].sort().values, shuffled[:held_out].sort().values


@frozen
class DataOrder:
    """The order of the examples.

    Args:
        length: examples in the dataset.
        batch_size: examples in a step.
        seed: of the permutations.
        held_out: examples that are never seen.
        slots: which of a step's examples are wanted; all of them if None.
    """

    length: int = field(validator=ge(1))
    batch_size: int = field(validator=ge(1))
    seed: int = 0
    held_out: int = field(default=0, validator=ge(0))
    slots: range | None = None

    def __attrs_post_init__(self) -> None:
        if self.held_out >= self.length:
            raise DataError(
                f"of {self.length} examples {self.held_out} are kept from training, which leaves "
                "none: fewer --validate.examples do"
            )

    @property
    def seen(self) -> int:
        """How many examples an epoch has."""
        return self.length - self.held_out

    @property
    def unseen(self) -> Tensor:
        """The positions of the examples that training never sees."""
        return divided(self.length, self.seed, self.held_out)[1]

    def of(self, slots: range) -> Self:
        """The same order, of which only some slots of each step are wanted."""
        return evolve(self, slots=slots)

    def epoch(self, number: int) -> Tensor:
        """The permutation of one epoch."""
        order = permutation(self.seen, self.seed, number)
        return divided(self.length, self.seed, self.held_out)[0][order] if self.held_out else order

    def indices(self, step: int) -> Tensor:
        """The positions in the dataset that a step sees, one for each slot that is wanted."""
        slots = self.slots or range(self.batch_size)
        first, end = (step * self.batch_size + one for one in (slots.start, slots.stop))
        parts = []
        while first < end:
            number, offset = divmod(first, self.seen)
            parts.append(self.epoch(number)[offset : offset + end - first])
            first += len(parts[-1])
        return torch.cat(parts)
