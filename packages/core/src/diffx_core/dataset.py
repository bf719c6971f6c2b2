"""What flows from data to network: facts (`DataSpec`), examples (`Batch`), what they are told.

Shapes: x (B, *shape), label (B,), index (B,), context (B, L, D), mask (B, L). Images are (C, H, W);
vectors are (D,).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, Self, TypeAlias

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_core.errors import ConfigError

NO_LABEL = -1
"""The label of an example that is told nothing: dropped for guidance, or never labelled."""


def sizes(values: Iterable[int]) -> tuple[int, ...]:
    """A shape, of a list as JSON has it."""
    return tuple(int(value) for value in values)


def pair_or_none(values: Sequence[float] | None) -> tuple[float, float] | None:
    """Two numbers, of a list as JSON has it, or None."""
    return None if values is None else (values[0], values[1])


@frozen
class DataSpec:
    """The facts about a dataset that a network and a sampler are built from.

    Args:
        shape: of one example, without the batch.
        num_classes: labels run over 0 .. num_classes - 1; None if the data have no labels.
        sigma_data: root mean square of the values about zero, or about the anchor of a process that
            has one, which makes the network's input of unit variance.
        value_range: lowest and highest legal value, for images; None for data without bounds.
        levels: how many values there are in the range, at equal distances: 256 for bytes; None for
            data of any value.
        context: D, of the tokens that examples are told, such as those of a text; None if there are
            none.
        captions: whether each example comes with a text about it.
        paired: whether each example comes with an image of its own shape (`Condition.image`), which
            networks read beside it.

    Examples:
        >>> DataSpec((3, 32, 32), num_classes=10).shape
        (3, 32, 32)
        >>> DataSpec((0, 32))
        Traceback (most recent call last):
        diffx_core.errors.ConfigError: shape must be positive sizes, got (0, 32)
    """

    shape: tuple[int, ...] = field(converter=sizes)
    num_classes: int | None = None
    sigma_data: float = field(default=1.0, converter=float)
    value_range: tuple[float, float] | None = field(default=None, converter=pair_or_none)
    levels: int | None = None
    context: int | None = None
    captions: bool = False
    paired: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise ConfigError(f"shape must be positive sizes, got {self.shape}")
        if not self.sigma_data > 0:
            raise ConfigError(f"sigma_data must be > 0, got {self.sigma_data}")
        if self.num_classes is not None and self.num_classes < 1:
            raise ConfigError(f"num_classes must be at least 1 or None, got {self.num_classes}")
        if self.context is not None and self.context < 1:
            raise ConfigError(f"context must be at least 1 or None, got {self.context}")
        if self.levels is not None and (self.levels < 2 or self.value_range is None):
            raise ConfigError(f"levels are two or more within a value_range, got {self.levels}")

    @property
    def cell(self) -> float | None:
        """The distance between neighbouring values; None for data of any value."""
        if self.levels is None or self.value_range is None:
            return None
        low, high = self.value_range
        return (high - low) / (self.levels - 1)

    @property
    def is_image(self) -> bool:
        """Whether an example is (C, H, W)."""
        return len(self.shape) == 3


@frozen(eq=False)
class Condition:
    """What the network is told about each example besides its noise level.

    Args:
        label: (B,) int64 class labels, `NO_LABEL` where there is none; None if nothing in the batch
            is labelled.
        image: (B, *shape) what each example belongs to, in the form of the data: its noisy or small
            version, its surroundings; None if there is nothing such. Never forgotten.
        context: (B, L, D) tokens about each example, such as those of a text; None if there are
            none.
        mask: (B, L) bool, true for tokens that are there; all of them unless told.

    Raises:
        ConfigError: the context has no tokens (B, L, D), or the mask is not one of them.
    """

    label: Tensor | None = None
    image: Tensor | None = None
    context: Tensor | None = None
    mask: Tensor | None = None

    def __attrs_post_init__(self) -> None:
        context, mask = self.context, self.mask
        if context is None:
            if mask is not None:
                raise ConfigError("a condition has a mask and no context: give both, or neither")
            return
        if context.ndim != 3:
            raise ConfigError(f"context must be (B, L, D), got {tuple(context.shape)}")
        if mask is None:
            mask = torch.ones(context.shape[:2], dtype=torch.bool, device=context.device)
            object.__setattr__(self, "mask", mask)
        elif mask.shape != context.shape[:2] or mask.dtype != torch.bool:
            raise ConfigError(
                f"mask must be bool {tuple(context.shape[:2])}, as the context has tokens, got"
                f" {mask.dtype} {tuple(mask.shape)}"
            )

    @property
    def can_be_forgotten(self) -> bool:
        """Whether anything was said that can be left out."""
        return self.label is not None or self.mask is not None

    def dropped(self, where: Tensor) -> Self:
        """The same condition, forgotten wherever the (B,) mask `where` is true."""
        label, mask = self.label, self.mask
        if label is not None:
            label = label.masked_fill(where, NO_LABEL)
        if mask is not None:
            mask = mask & ~where[:, None]
        return evolve(self, label=label, mask=mask)

    def forgotten(self) -> Self:
        """The same condition, forgotten everywhere: what an unconditional prediction is told."""
        label = None if self.label is None else torch.full_like(self.label, NO_LABEL)
        mask = None if self.mask is None else torch.zeros_like(self.mask)
        return evolve(self, label=label, mask=mask)

    def to(self, device: torch.device | str) -> Self:
        """The same condition on another device."""
        return evolve(self, **{name: one.to(device) for name, one in self.given().items()})

    def with_forgotten(self) -> Self:
        """A batch of twice the size: everything as it is, then everything forgotten."""
        forgotten = self.forgotten().given()
        both = {name: torch.cat([one, forgotten[name]]) for name, one in self.given().items()}
        return evolve(self, **both)

    def given(self) -> dict[str, Tensor]:
        """What there is, by name."""
        given = {
            "label": self.label,
            "image": self.image,
            "context": self.context,
            "mask": self.mask,
        }
        return {name: one for name, one in given.items() if one is not None}


@frozen(eq=False)
class Batch:
    """Some examples of a dataset.

    Args:
        x: (B, *shape) clean data.
        cond: what the network is told about them.
        index: (B,) int64 position of each example in the dataset, which keys its augmentation;
            None for data without an order.
        captions: B texts, one about each example; None if the data have none. No network reads
            them: a text encoder makes tokens of them, see `diffx_core.text`.
    """

    x: Tensor
    cond: Condition = field(factory=Condition)
    index: Tensor | None = None
    captions: Sequence[str] | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """The same batch on another device; the copy of a pinned one need not be waited for."""
        return self._each(lambda one: one.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same batch where an accelerator can read it by itself."""
        return self._each(Tensor.pin_memory)

    def share_memory(self) -> Self:
        """The same batch where other processes can read it."""
        index = None if self.index is None else self.index.share_memory_()
        return evolve(self._each(Tensor.share_memory_), index=index)

    def part(self, first: int, end: int) -> Self:
        """Some of its examples."""
        index = None if self.index is None else self.index[first:end]
        captions = None if self.captions is None else self.captions[first:end]
        return evolve(self._each(lambda one: one[first:end]), index=index, captions=captions)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        told = {name: change(one) for name, one in self.cond.given().items()}
        return evolve(self, x=change(self.x), cond=evolve(self.cond, **told))


class Read(Protocol):
    """Reads examples for training, in any process."""

    def __call__(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The examples at the (B,) positions `index`; a pure function of seed, index and step."""
        ...


Finish: TypeAlias = Callable[[Batch], Batch]
"""Makes of what was read what training sees."""


class Dataset(ABC):
    """A finite source of examples. Subclasses are frozen attrs classes with their options."""

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """The facts about the data, as they are delivered."""

    @abstractmethod
    def __len__(self) -> int:
        """How many examples there are."""

    @abstractmethod
    def batch(self, index: Tensor) -> Batch:
        """The examples at the (B,) positions `index`; a pure function of them."""

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The examples as training sees them: a pure function of seed, index and step.

        The examples as they are, unless a dataset has a reason to change them.
        """
        del seed, step
        return self.batch(index)

    def in_two(self) -> tuple["Read", "Finish"]:
        """`augmented` in two parts: what any process can read, and what is then made of it.

        The second part is done by the process that trains, on its device: where bytes should become
        floats, or a network of its own reads texts. One part is enough, unless there is a reason.
        """
        return self.augmented, lambda batch: batch

    @property
    def fingerprint(self) -> str:
        """What tells apart data of the same options, such as those of other files.

        Empty if the options say it all.
        """
        return ""

    @property
    def streams(self) -> bool:
        """Whether a batch takes reading and decoding, which workers can do ahead of time."""
        return False

    def on(self, device: torch.device | str) -> "Dataset":
        """The same data for training on a device, which may be kept and batched there."""
        del device
        return self


def spec_to_json(spec: DataSpec) -> dict[str, Any]:
    """The facts as JSON types, for a saved run."""
    return {
        "shape": list(spec.shape),
        "num_classes": spec.num_classes,
        "sigma_data": spec.sigma_data,
        "value_range": None if spec.value_range is None else list(spec.value_range),
        "levels": spec.levels,
        "context": spec.context,
        "captions": spec.captions,
        "paired": spec.paired,
    }
