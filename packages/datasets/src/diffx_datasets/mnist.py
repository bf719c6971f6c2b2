"""MNIST and Fashion-MNIST, from the IDX files as they are published, packed by gzip or not."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import DataError
from diffx_datasets.decoding import resized
from diffx_datasets.packed_images import PackedImages
from diffx_datasets.packing import Pixels, Source, stamp
from diffx_datasets.places import download, missing

SIDE, BORDER = 28, 2
UNSIGNED_BYTE = 8
"""The type of the numbers of an IDX file, as its third byte says it."""
MOST = 2**32
PREFIX = {"train": "train", "test": "t10k"}


def read_idx(path: Path, dimensions: int) -> Pixels:
    """The bytes of an IDX file: big-endian sizes of each dimension, then the numbers.

    Raises:
        DataError: it is not one, of another kind, cut off, or longer than it says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zeros, kind, found = struct.unpack(">HBB", file.read(4))
            if (zeros, kind, found) != (0, UNSIGNED_BYTE, dimensions):
                raise DataError(f"{path}: is not an IDX file of bytes in {dimensions} dimensions")
            shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
            size = math.prod(shape)
            if size > MOST:
                raise DataError(f"{path}: claims to have {size} bytes")
            content = file.read(size + 1)
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); get it anew") from error
    if len(content) != size:
        what = "is cut off" if len(content) < size else "is longer than it says"
        raise DataError(f"{path}: {what}; get it anew")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


@frozen(kw_only=True)
class MNIST(PackedImages):
    """Handwritten digits, 60000 to train and 10000 to test, bright on dark.

    Args:
        root: the folder with the IDX files, or the one in which torchvision keeps them.
        size: side of the images in pixels: 28 as they are, 32 with a dark border, others resized.
        split: train or test.
        download: fetch the files if they are not there.

    References:
        LeCun et al., 1998, Gradient-based learning applied to document recognition.
    """

    FOLDER: ClassVar[str] = "MNIST"
    """What torchvision calls the dataset and its folder."""
    NAME: ClassVar[str] = "mnist"

    root: Path = Path("data")
    size: int = field(default=32, validator=and_(ge(4), le(128)))
    split: Literal["train", "test"] = field(default="train", validator=in_(("train", "test")))
    download: bool = False

    def source(self) -> Source:
        """The IDX files."""
        images, labels = self._files()
        return Source(
            name=self.NAME,
            facts={
                "root": str(self.root.resolve()),
                "files": (stamp(images), stamp(labels)),
                "options": (self.size, self.split),
            },
            shape=(1, self.size, self.size),
            num_classes=10,
            images=lambda: self._images(read_idx(images, 3), read_idx(labels, 1)),
        )

    def _images(self, images: Pixels, labels: Pixels) -> Iterator[tuple[Pixels, int | None]]:
        if len(images) != len(labels):
            raise DataError(
                f"{self.NAME}: {self.root} has {len(images)} images and {len(labels)} labels"
            )
        if self.size == SIDE + 2 * BORDER:
            images = np.pad(images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
        for one, label in zip(images, labels, strict=True):
            yield resized(one[None], self.size), int(label)

    def _files(self) -> list[Path]:
        """Images and labels; all that is not there is fetched, or named."""
        names = [f"{PREFIX[self.split]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
        absent = [name for name in names if self._found(name) is None]
        raw = self.root / self.FOLDER / "raw"
        if absent and not self.download:
            raise missing(self.NAME, self.root, " and ".join(f"{name}.gz" for name in absent))
        if absent:
            published = self._published()
            download(
                self.NAME,
                raw,
                [one for one in published.resources if one[0].startswith(PREFIX[self.split])],
                lambda file: [f"{mirror}{file}" for mirror in published.mirrors],
            )
        return [self._found(name) or raw / f"{name}.gz" for name in names]

    def _found(self, name: str) -> Path | None:
        folders = (self.root, self.root / self.FOLDER / "raw")
        paths = (folder / file for folder in folders for file in (name, f"{name}.gz"))
        return next((path for path in paths if path.is_file()), None)

    def _published(self) -> Any:  # noqa: ANN401 - a class of torchvision, which has no types
        from torchvision import datasets

        return getattr(datasets, self.FOLDER)


@frozen(kw_only=True)
class FashionMNIST(MNIST):
    """Articles of clothing in the form of MNIST: 60000 to train and 10000 to test.

    References:
        Xiao et al., 2017, Fashion-MNIST (arXiv:1708.07747).
    """

    FOLDER: ClassVar[str] = "FashionMNIST"
    NAME: ClassVar[str] = "fashion_mnist"
