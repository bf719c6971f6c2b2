"""CIFAR-10, from the Python version as it is published: a tar archive of pickled dicts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import DataError
from diffx_datasets.decoding import resized
from diffx_datasets.packed_images import PackedImages
from diffx_datasets.packing import Pixels, Source
from diffx_datasets.places import Place, archived
from diffx_datasets.plain_pickle import NotPlainError, plain_pickle

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
PARTS = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}
SHAPE = (3, 32, 32)


@frozen(kw_only=True)
class CIFAR10(PackedImages):
    """Photographs of ten kinds of things in 32x32 pixels, 50000 to train and 10000 to test.

    Args:
        root: the folder that holds the archive, or what it unpacks to.
        size: side of the images in pixels; 32 delivers them as they are.
        split: train or test.
        download: fetch the archive if it is not there.

    References:
        Krizhevsky, 2009, Learning multiple layers of features from tiny images.
    """

    root: Path = Path("data")
    size: int = field(default=32, validator=and_(ge(4), le(64)))
    split: Literal["train", "test"] = field(default="train", validator=in_(("train", "test")))
    download: bool = False
    flip: bool = True

    def source(self) -> Source:
        """The batches, in the archive or beside it."""
        parts = PARTS[self.split]
        place = self._place(parts[0])
        return Source(
            name="cifar10",
            facts={
                "root": str(self.root.resolve()),
                "files": place.facts(parts),
                "options": (self.size, self.split),
            },
            shape=(3, self.size, self.size),
            num_classes=10,
            images=lambda: self._images(place, parts),
        )

    def _place(self, wanted: str) -> Place:
        return archived(
            "cifar10",
            self.root,
            folder=FOLDER,
            archive=ARCHIVE,
            wanted=wanted,
            published="CIFAR10",
            fetch=self.download,
        )

    def _images(self, place: Place, parts: tuple[str, ...]) -> Iterator[tuple[Pixels, int | None]]:
        for part in parts:
            try:
                images, labels = _batch(place.read(part))
            except (NotPlainError, KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"cifar10: {part} in {place.path} is not a batch of CIFAR-10: {error}"
                ) from error
            for one, label in zip(images, labels, strict=True):
                yield resized(one, self.size), label


def _batch(content: bytes) -> tuple[Pixels, list[int]]:
    said = plain_pickle(content)
    images = np.asarray(said["data"], dtype=np.uint8).reshape(-1, *SHAPE)
    labels = said["labels"]
    if len(images) != len(labels) or not all(type(one) is int for one in labels):
        raise NotPlainError(f"has {len(images)} images and {len(labels)} labels")
    return images, labels
