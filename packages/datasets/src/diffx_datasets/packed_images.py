"""What every dataset of images does with its source: decode it once, keep it, batch it."""

from abc import abstractmethod
from functools import cached_property

from attrs import frozen

from diffx_core import Dataset
from diffx_datasets.packed import Packed
from diffx_datasets.packing import Source, packed
from diffx_datasets.prepared import Prepared


@frozen(kw_only=True)
class PackedImages(Prepared):
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
    def held(self) -> Dataset:
        """The images as bytes."""
        return self.packed
