"""Images in one NumPy file, as published sample batches are: bytes, and labels if there are any."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from attrs.validators import and_, ge, in_, le, optional

from diffx_core import DataError
from diffx_datasets.classes import CAN_BE_SAID, classes_of
from diffx_datasets.decoding import resized
from diffx_datasets.packed_images import PackedImages
from diffx_datasets.packing import Pixels, Source, stamp

IMAGES = ("images", "x", "data", "arr_0")
LABELS = ("labels", "label", "y", "arr_1")
CHANNELS = (1, 3)


@frozen(kw_only=True)
class Npz(PackedImages):
    """Images of an .npz file: an array of bytes, and one of labels if there is one.

    The images are called images, x, data or arr_0; the labels labels, label, y or arr_1.

    Args:
        root: the file.
        size: side of the images in pixels; by default as they are.
        layout: whether channels come last (hwc) or first (chw); auto takes the axis of length 1
            or 3, and the last one if both are.
        num_classes: how many classes there are, of which some may have no example here; by default
            one more than the highest label.
    """

    root: Path
    size: int | None = field(default=None, validator=optional(and_(ge(4), le(1024))))
    layout: Literal["auto", "hwc", "chw"] = field(
        default="auto", validator=in_(("auto", "hwc", "chw"))
    )
    num_classes: int | None = field(default=None, validator=CAN_BE_SAID)

    def source(self) -> Source:
        """The arrays of the file."""
        images, labels = self._read()
        _, channels, height, width = images.shape
        side = (self.size, self.size) if self.size else (height, width)
        return Source(
            name="npz",
            facts={
                "root": str(self.root.resolve()),
                "file": stamp(self.root),
                "options": (self.size, self.layout, self.num_classes),
            },
            shape=(channels, *side),
            num_classes=classes_of(labels, self.num_classes, f"npz: {self.root}"),
            images=lambda: self._images(images, labels),
        )

    def _images(
        self, images: Pixels, labels: npt.NDArray[Any] | None
    ) -> Iterator[tuple[Pixels, int | None]]:
        for k, one in enumerate(images):
            yield resized(one, self.size), None if labels is None else int(labels[k])

    def _read(self) -> tuple[Pixels, npt.NDArray[Any] | None]:
        if not self.root.is_file():
            raise DataError(f"npz: there is no file {self.root}; --dataset.root names an .npz file")
        try:
            with self.root.open("rb") as opened:
                file = np.load(opened, allow_pickle=False)
                if not isinstance(file, Mapping):
                    self._refuse("is one array, not an .npz file of named arrays")
                images = _named(file, IMAGES)
                labels = _named(file, LABELS)
                names = ", ".join(sorted(file)) or "nothing"
        except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
            self._refuse(f"cannot be read ({error})")
        if images is None:
            self._refuse(f"has no images: it holds {names}, not one of {', '.join(IMAGES)}")
        images = self._channels_first(images)
        if labels is not None and labels.shape != (len(images),):
            self._refuse(f"has {len(images)} images and labels of shape {labels.shape}")
        if labels is not None and (labels.dtype.kind not in "iu" or labels.min() < 0):
            self._refuse("has labels that are not whole numbers from 0")
        return images, labels

    def _channels_first(self, images: npt.NDArray[Any]) -> Pixels:
        if images.dtype != np.uint8:
            self._refuse(f"has images of {images.dtype}; save them as bytes (uint8)")
        if images.ndim == 3:
            images = images[..., None] if self.layout != "chw" else images[:, None]
        if images.ndim != 4 or not images.size:
            self._refuse(f"has images of shape {images.shape}; it should be (N, H, W, C)")
        last = self.layout == "hwc" or (self.layout == "auto" and images.shape[-1] in CHANNELS)
        first = images.transpose(0, 3, 1, 2) if last else images
        if first.shape[1] not in CHANNELS:
            self._refuse(f"has images of shape {images.shape}, with neither 1 nor 3 channels")
        return first

    def _refuse(self, reason: str) -> NoReturn:
        raise DataError(f"npz: {self.root} {reason}")


def _named(file: Mapping[str, npt.NDArray[Any]], names: tuple[str, ...]) -> npt.NDArray[Any] | None:
    return next((file[name] for name in names if name in file), None)
