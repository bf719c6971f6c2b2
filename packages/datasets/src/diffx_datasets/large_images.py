"""Datasets of images that may be too many to keep decoded: then they are read again each time."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property

from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import Dataset
from diffx_datasets.examples import Examples, LeftOut, OnBad, each
from diffx_datasets.packed import MOST_KEPT, at
from diffx_datasets.packed_images import PackedImages
from diffx_datasets.packing import Pixels, Source
from diffx_datasets.streamed import streamed


@frozen(kw_only=True)
class LargeImages(PackedImages):
    """Images in [-1, 1], kept decoded, or read and decoded for each batch.

    Args:
        stream: read and decode the images for each batch instead of keeping them decoded; by
            default where they would take more than 16 GiB.
        on_bad: what to do about images that cannot be decoded: stop, or leave them out.
        max_bad: share of the images that may be left out, but one may always be.
    """

    stream: bool | None = None
    on_bad: OnBad = field(default="error", validator=in_(("error", "skip")))
    max_bad: float = field(default=0.001, validator=and_(ge(0), le(1)))

    @abstractmethod
    def examples(self) -> Examples:
        """Where the images are; looks for them, and decodes nothing."""

    @cached_property
    def _found(self) -> Examples:
        return self.examples()

    @property
    def streams(self) -> bool:
        """Whether each batch is read and decoded."""
        if self.stream is not None:
            return self.stream
        found = self._found
        channels = math.prod(found.shape) * (2 if found.paired else 1)
        return len(found.readable) * channels > MOST_KEPT

    @cached_property
    def held(self) -> Dataset:
        """The images as bytes, or where they lie."""
        if not self.streams:
            return self.packed
        return streamed(self._found, self._left_out(), flip=self.flip)

    def source(self) -> Source:
        """The images, to be decoded one after another."""
        found, left_out = self._found, self._left_out()
        return Source(
            name=found.name,
            facts={**found.facts, "bad": (self.on_bad, self.max_bad)},
            shape=found.shape,
            num_classes=found.num_classes,
            images=lambda: self._images(left_out),
            skipped=lambda: list(left_out.reasons.values()),
            captions=lambda: self._captions(left_out),
            paired=found.paired,
        )

    def _images(self, left_out: LeftOut) -> Iterator[tuple[Pixels, int | None]]:
        left_out.reasons.clear()
        readable, label = self._found.readable, self._found.label
        for position, pixels in each(readable, range(len(readable)), left_out):
            yield pixels, None if label is None else int(label[position])

    def _captions(self, left_out: LeftOut) -> list[str] | None:
        found = self._found
        return at(
            found.captions, [k for k in range(len(found.readable)) if k not in left_out.reasons]
        )

    def _left_out(self) -> LeftOut:
        found = self._found
        return LeftOut(found.name, len(found.readable), self.on_bad, self.max_bad)
