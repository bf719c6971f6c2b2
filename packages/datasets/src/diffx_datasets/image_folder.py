"""Images in a folder: its sub-folders are the classes, or it has none and there are no labels."""

import logging
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import DataError
from diffx_datasets.decoding import UnreadableError, decoded
from diffx_datasets.packed_images import PackedImages
from diffx_datasets.packing import Pixels, Source, stamp

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)
"""Files of other names are no images, and are passed over."""
AT_ONCE = 256
"""Images that are in memory together while a folder is decoded."""
THREADS = 8
log = logging.getLogger(__name__)


@frozen(kw_only=True)
class ImageFolder(PackedImages):
    """Images of any size, in one folder or in a sub-folder for each class.

    Classes are numbered in the order of their names. What lies deeper belongs to the class above.

    Args:
        root: the folder.
        size: side of the images in pixels; the largest centred square is resized to it.
        grey: keep brightness only.
        on_bad: what to do about files that cannot be decoded: stop, or leave them out.
        max_bad: share of the files that may be left out, but one may always be.
    """

    root: Path
    size: int = field(default=64, validator=and_(ge(4), le(1024)))
    grey: bool = False
    on_bad: Literal["error", "skip"] = field(default="error", validator=in_(("error", "skip")))
    max_bad: float = field(default=0.001, validator=and_(ge(0), le(1)))

    def source(self) -> Source:
        """The files, by class and name."""
        classes, files = self._found()
        bad: list[str] = []
        return Source(
            name="image_folder",
            facts={
                "root": str(self.root.resolve()),
                "files": [(str(one.parent), *stamp(one)) for one, _ in files],
                "options": (self.size, self.grey, self.on_bad, self.max_bad),
            },
            shape=(1 if self.grey else 3, self.size, self.size),
            num_classes=classes,
            images=lambda: self._images(files, bad),
            skipped=lambda: bad,
        )

    def _found(self) -> tuple[int | None, list[tuple[Path, int | None]]]:
        if not self.root.is_dir():
            raise DataError(
                f"image_folder: {self.root} is not a folder; --dataset.root names one with images,"
                " or with a sub-folder of images for each class"
            )
        folders = sorted(one for one in self.root.iterdir() if one.is_dir() and _shown(one.name))
        loose: list[tuple[Path, int | None]] = [
            (one, None) for one in sorted(self.root.iterdir()) if _is_image(one)
        ]
        sorted_in = [list(_under(one)) for one in folders]
        if loose and any(sorted_in):
            raise DataError(
                f"image_folder: {self.root} has images beside sub-folders of images; put"
                f" {loose[0][0].name} and the like into the folder of a class"
            )
        if loose:
            return None, loose
        if not any(sorted_in):
            raise DataError(f"image_folder: {self.root}: there are no images")
        empty = [one.name for one, files in zip(folders, sorted_in, strict=True) if not files]
        if empty:
            raise DataError(f"image_folder: {self.root}: no images in {', '.join(empty)}")
        return len(folders), [(one, k) for k, files in enumerate(sorted_in) for one in files]

    def _images(
        self, files: list[tuple[Path, int | None]], bad: list[str]
    ) -> Iterator[tuple[Pixels, int | None]]:
        bad.clear()
        allowed = max(1, math.floor(self.max_bad * len(files)))
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
            for first in range(0, len(files), AT_ONCE):
                some = files[first : first + AT_ONCE]
                found = threads.map(self._decoded, (path for path, _ in some))
                for (path, label), one in zip(some, found, strict=True):
                    if isinstance(one, UnreadableError):
                        self._left_out(f"{path}: {one}", bad, allowed)
                    else:
                        yield one, label
        if bad:
            log.warning("image_folder: left out %d of %d files", len(bad), len(files))

    def _decoded(self, path: Path) -> Pixels | UnreadableError:
        try:
            return decoded(path, self.size, grey=self.grey)
        except UnreadableError as error:
            return error

    def _left_out(self, line: str, bad: list[str], allowed: int) -> None:
        if self.on_bad == "error":
            raise DataError(
                f"image_folder: {line}; remove the file, or leave it out with --dataset.on_bad skip"
            )
        bad.append(line)
        if len(bad) > allowed:
            raise DataError(
                f"image_folder: {len(bad)} files cannot be used, {allowed} may be left out; the"
                f" last is {line}; --dataset.max_bad sets the share"
            )


def _shown(name: str) -> bool:
    return not name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and _shown(path.name) and path.is_file()


def _under(folder: Path) -> Iterator[Path]:
    """Every image in a folder and below, in the order of their paths."""
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(filter(_shown, inner))
        yield from (path for name in sorted(names) if _is_image(path := Path(place, name)))
