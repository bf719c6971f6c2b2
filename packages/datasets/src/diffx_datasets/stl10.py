"""STL-10, from the binary files as they are published, in their tar archive or beside it."""

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

FOLDER = "stl10_binary"
ARCHIVE = "stl10_binary.tar.gz"
SIDE = 96
IMAGE = 3 * SIDE * SIDE
"""Bytes of an image."""


@frozen(kw_only=True)
class STL10(PackedImages):
    """Photographs in 96x96 pixels: 5000 and 8000 of ten kinds of things, 100000 without labels.

    Args:
        root: the folder that holds the archive, or what it unpacks to.
        size: side of the images in pixels; 96 delivers them as they are.
        split: train, test, or unlabeled.
        download: fetch the archive if it is not there.

    References:
        Coates et al., 2011, An analysis of single-layer networks in unsupervised feature learning.
    """

    root: Path = Path("data")
    size: int = field(default=SIDE, validator=and_(ge(4), le(128)))
    split: Literal["train", "test", "unlabeled"] = field(
        default="train", validator=in_(("train", "test", "unlabeled"))
    )
    download: bool = False
    flip: bool = True

    def source(self) -> Source:
        """The binary files."""
        names = [f"{self.split}_X.bin", f"{self.split}_y.bin"][: 2 if self._has_labels else 1]
        place = self._place(names[0])
        return Source(
            name="stl10",
            facts={
                "root": str(self.root.resolve()),
                "files": place.facts(names),
                "options": (self.size, self.split),
            },
            shape=(3, self.size, self.size),
            num_classes=10 if self._has_labels else None,
            images=lambda: self._images(place, names),
        )

    @property
    def _has_labels(self) -> bool:
        return self.split != "unlabeled"

    def _place(self, wanted: str) -> Place:
        return archived(
            "stl10",
            self.root,
            folder=FOLDER,
            archive=ARCHIVE,
            wanted=wanted,
            published="STL10",
            fetch=self.download,
        )

    def _images(self, place: Place, names: list[str]) -> Iterator[tuple[Pixels, int | None]]:
        # a label is 1 to 10
        labels = np.frombuffer(place.read(names[1]), np.uint8) if self._has_labels else None
        count = 0
        with place.opened(names[0]) as file:
            while content := file.read(IMAGE):
                if len(content) != IMAGE or (labels is not None and count == len(labels)):
                    raise DataError(
                        f"stl10: {names[0]} in {place.path} is cut off, or has more images than"
                        " labels; get it anew"
                    )
                columns = np.frombuffer(content, np.uint8).reshape(3, SIDE, SIDE)
                label = None if labels is None else int(labels[count]) - 1
                yield resized(columns.transpose(0, 2, 1), self.size), label
                count += 1
        if labels is not None and count != len(labels):
            raise DataError(f"stl10: {place.path} has {count} images and {len(labels)} labels")
