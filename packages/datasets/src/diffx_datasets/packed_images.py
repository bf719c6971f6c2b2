"""What every dataset of images does with its source: decode it once, keep it, batch it."""

from abc import abstractmethod
from functools import cached_property

import torch
from attrs import frozen
from torch import Tensor

from diffx_core import Batch, Dataset, DataSpec
from diffx_datasets.packed import Packed
from diffx_datasets.packing import Source, packed


@frozen(kw_only=True)
class PackedImages(Dataset):
    """Images in [-1, 1], decoded once into a cache of bytes.

    Args:
        flip: whether training sees half of the images mirrored, left to right.
    """

    flip: bool = False

    @abstractmethod
    def source(self) -> Source:
        """Where the images come from; looks for the files, and decodes nothing."""

    @property
    def packed(self) -> Packed:
        """The images, decoded; now, if they have never been."""
        return packed(self.source(), flip=self.flip)

    @cached_property
    def _held(self) -> Dataset:
        return self.packed

    @property
    def spec(self) -> DataSpec:
        """The facts about the images, of which sigma_data is measured."""
        return self._held.spec

    def __len__(self) -> int:
        return len(self._held)

    def batch(self, index: Tensor) -> Batch:
        """The images (B, C, size, size) at the (B,) positions `index`."""
        return self._held.batch(index)

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The same, half of them mirrored if asked for."""
        return self._held.augmented(index, seed=seed, step=step)

    def on(self, device: torch.device | str) -> Dataset:
        """The same images on a device, if they fit there."""
        return self._held.on(device)
