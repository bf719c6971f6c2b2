"""What all features have in common, and the form in which examples are looked at."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from diffx_core import DataSpec


@frozen(eq=False)
class Seen:
    """What was found in examples.

    Args:
        features: (N, D), on the CPU.
        logits: (N, K) of classes, on the CPU; None if there are none.
    """

    features: Tensor
    logits: Tensor | None = None


class Features(ABC):
    """Finds features in examples (B, *shape)."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What figures are called by: two that see differently have different names."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What somebody needs to know who measures the same again, as plain JSON types."""

    @property
    def knows_classes(self) -> bool:
        """Whether there are logits."""
        return False

    @abstractmethod
    def see(self, x: Tensor) -> Seen:
        """The features of examples (B, *shape), as a dataset delivers them."""


@frozen(kw_only=True)
class Values(Features):
    """The values themselves, for points and other small things."""

    @property
    def name(self) -> str:
        """It has no options."""
        return "values"

    @property
    def facts(self) -> dict[str, Any]:
        """There is nothing to know."""
        return {}

    def see(self, x: Tensor) -> Seen:
        """The values of each example, in a row."""
        return Seen(x.detach().cpu().float().flatten(1))


def is_picture(spec: DataSpec) -> bool:
    """Whether examples are images of grey or of colours."""
    return spec.is_image and spec.shape[0] in (1, 3) and spec.value_range is not None


def to_bytes(x: Tensor, spec: DataSpec) -> Tensor:
    """Images (B, C, H, W) as uint8."""
    assert spec.value_range is not None, "an image has one"
    low, high = spec.value_range
    return ((x - low) / (high - low)).clamp(0, 1).mul(255).round().to(torch.uint8)


def as_kept(x: Tensor, spec: DataSpec) -> Tensor:
    """Images as they come back from a file of bytes, so that files and tensors are seen alike.

    Other examples are as they are.
    """
    x = x.detach().float()
    if not is_picture(spec):
        return x
    assert spec.value_range is not None, "an image has one"
    low, high = spec.value_range
    return low + (high - low) * to_bytes(x, spec).float() / 255
