"""Texts for networks: an encoder makes tokens of captions, and a network reads them as its context.

    caption  ->  tokens (L, D), of which the first l are there  ->  Condition(context, mask)

The encoder learns nothing: what a text becomes is a pure function of the text and the encoder's
options. Shapes: context (B, L, D), mask (B, L), with L and D the same for all texts.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_core.dataset import Batch, Condition, Dataset, DataSpec, Finish, Read
from diffx_core.errors import ConfigError

SHOWN = 40
"""Characters of a text that a message shows."""


class Tokens(NamedTuple):
    """What texts became.

    Args:
        context: (B, L, D) float32, zero where no token is there.
        mask: (B, L) bool, true for the tokens that are there, which come first.
    """

    context: Tensor
    mask: Tensor


class TextEncoder(ABC):
    """Makes tokens of texts. Subclasses are frozen attrs classes with their options."""

    length: int
    """L, tokens of a text; what a text has beyond is cut off."""

    @property
    @abstractmethod
    def width(self) -> int:
        """D, of a token."""

    @abstractmethod
    def count(self, text: str) -> int:
        """How many tokens a text has before anything is cut off."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Tokens:
        """The tokens of each text: a pure function of it, whatever the texts beside it."""

    @property
    def fingerprint(self) -> str:
        """What tells apart encoders of the same options, such as those of other files."""
        return ""

    def on(self, device: torch.device | str) -> "TextEncoder":
        """The same encoder, working on a device if it computes anything."""
        del device
        return self


def encoded(text: TextEncoder, texts: Sequence[str]) -> Tokens:
    """The tokens of texts, of which many may be the same."""
    different = list(dict.fromkeys(texts))
    tokens = text.encode(different)
    if len(different) == len(texts):
        return tokens
    place = {one: i for i, one in enumerate(different)}
    rows = torch.tensor([place[one] for one in texts], device=tokens.mask.device)
    return Tokens(tokens.context[rows], tokens.mask[rows])


def prompted(cond: Condition, text: TextEncoder, prompts: Sequence[str]) -> Condition:
    """A condition with texts that were written for a model, not found in data.

    Raises:
        ConfigError: one is too long.
    """
    require_short(text, prompts)
    tokens = encoded(text, prompts)
    return evolve(cond, context=tokens.context, mask=tokens.mask)


def require_short(text: TextEncoder, prompts: Sequence[str]) -> None:
    """Refuse prompts that are longer than what a model reads: nobody wants a part to be cut off.

    Raises:
        ConfigError: one is.
    """
    problems = [
        f"the prompt {one[:SHOWN]!r}{'...' * (len(one) > SHOWN)} has {count} tokens, and the model"
        f" reads {text.length}: shorten it"
        for one in dict.fromkeys(prompts)
        if (count := text.count(one)) > text.length
    ]
    if problems:
        raise ConfigError(*problems)


@frozen(eq=False)
class EncodedCaptions(Dataset):
    """A dataset whose captions are tokens, too.

    Args:
        dataset: with captions.
        text: what makes tokens of them.
    """

    dataset: Dataset = field()
    text: TextEncoder

    @dataset.validator
    def _check(self, _: object, dataset: Dataset) -> None:
        if not dataset.spec.captions:
            raise ConfigError("there are no captions: no text to be encoded")
        if dataset.spec.context is not None:
            raise ConfigError("the data have context tokens of their own")

    @property
    def spec(self) -> DataSpec:
        """The facts about the data, with the width of the tokens."""
        return evolve(self.dataset.spec, context=self.text.width)

    @property
    def fingerprint(self) -> str:
        """That of the data; the encoder has its own."""
        return self.dataset.fingerprint

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, index: Tensor) -> Batch:
        """The examples at the (B,) positions `index`, with the tokens of their captions."""
        return self.told(self.dataset.batch(index))

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The examples as training sees them, with the tokens of their captions."""
        return self.told(self.dataset.augmented(index, seed=seed, step=step))

    @property
    def streams(self) -> bool:
        """Whether the data under it are read for each batch."""
        return self.dataset.streams

    def on(self, device: torch.device | str) -> Dataset:
        """The same data, with both parts on the device."""
        return evolve(self, dataset=self.dataset.on(device), text=self.text.on(device))

    def in_two(self) -> tuple[Read, Finish]:
        """What the data under it read, and the tokens of its captions, made where it is trained on.

        An encoder stays where it is: it may be a network on an accelerator, and has a memory.
        """
        read, finish = self.dataset.in_two()
        return read, lambda batch: self.told(finish(batch))

    def told(self, batch: Batch) -> Batch:
        """A batch of the dataset, with the tokens of its captions."""
        assert batch.captions is not None, "the facts say so"
        tokens = encoded(self.text, batch.captions)
        cond = evolve(batch.cond, context=tokens.context, mask=tokens.mask)
        return evolve(batch, cond=cond)
