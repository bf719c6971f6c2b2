"""Images in a folder: its sub-folders are the classes, or it has none and there are no labels."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import DataError
from diffx_datasets.captions import CaptionFiles, captions_of, require_text
from diffx_datasets.decoding import UnreadableError, decoded
from diffx_datasets.examples import Examples
from diffx_datasets.large_images import LargeImages
from diffx_datasets.packing import Pixels, stamp

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)
"""Files of other names are no images, and are passed over."""


@frozen
class Files:
    """Image files by position.

    Args:
        paths: of the files.
        size: side in pixels.
        grey: keep brightness only.
        captions: one about each file; an image without one cannot be used.
        beside: the images that they are told, or None.
    """

    paths: Sequence[Path]
    size: int
    grey: bool
    captions: Sequence[str] | None = None
    beside: Sequence[Path] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def pixels(self, position: int) -> Pixels:
        """The image in a file, and after it the one that it is told."""
        require_text(self.captions, position)
        image = decoded(self.paths[position], self.size, grey=self.grey)
        if self.beside is None:
            return image
        try:
            other = decoded(self.beside[position], self.size, grey=self.grey)
        except UnreadableError as error:
            raise UnreadableError(f"belongs to {self.beside[position]}, which {error}") from error
        return np.concatenate([image, other])

    def place(self, position: int) -> str:
        """The path of a file."""
        return str(self.paths[position])


@frozen(kw_only=True)
class ImageFolder(LargeImages):
    """Images of any size, in one folder or in a sub-folder for each class.

    Classes are numbered in the order of their names. What lies deeper belongs to the class above.

    Args:
        root: the folder.
        size: side of the images in pixels; the largest centred square is resized to it.
        grey: keep brightness only.
        captions: where the texts about the images are, if they are wanted: in a file beside each
            (1.png and 1.txt), or in metadata.jsonl with "file_name" and "text" in each line.
        beside: another folder, in which each image has one of the same path, whatever its suffix:
            its noisy or small version, or whatever the network is told about it.
    """

    root: Path
    size: int = field(default=64, validator=and_(ge(4), le(1024)))
    grey: bool = False
    captions: CaptionFiles | None = field(default=None, validator=in_((None, "txt", "jsonl")))
    beside: Path | None = None

    def examples(self) -> Examples:
        """The files, by class and name."""
        classes, files = self._files()
        paths = [path for path, _ in files]
        captions, stamps = None, None
        if self.captions is not None:
            captions, stamps = captions_of(self.root, paths, self.captions, self.on_bad)
        beside = None if self.beside is None else _beside(self.beside, self.root, paths)
        return Examples(
            name="image_folder",
            facts={
                "root": str(self.root.resolve()),
                "files": [(str(one.parent), *stamp(one)) for one in paths],
                "options": (self.size, self.grey),
                "captions": stamps,
                "beside": [(str(one.parent), *stamp(one)) for one in beside or ()],
            },
            shape=(1 if self.grey else 3, self.size, self.size),
            readable=Files(paths, self.size, self.grey, captions, beside),
            label=None if classes is None else np.array([k for _, k in files], dtype=np.int64),
            num_classes=classes,
            captions=captions,
            paired=beside is not None,
        )

    def _files(self) -> tuple[int | None, list[tuple[Path, int | None]]]:
        if not self.root.is_dir():
            raise DataError(
                f"image_folder: {self.root} is not a folder; --dataset.root names one with images,"
                " or with a sub-folder of images for each class"
            )
        folders = sorted(one for one in self.root.iterdir() if one.is_dir() and _shown(one.name))
        loose: list[tuple[Path, int | None]] = [
            (one, None) for one in sorted(self.root.iterdir()) if _is_image(one)
        ]
        sorted_in = [list(images_under(one)) for one in folders]
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


def _beside(folder: Path, root: Path, paths: Sequence[Path]) -> list[Path]:
    """The images of the same paths in another folder."""
    if not folder.is_dir():
        raise DataError(f"image_folder: {folder} is not a folder; --dataset.beside names one")
    found: dict[Path, Path] = {}
    for path in images_under(folder):
        key = path.relative_to(folder).with_suffix("")
        if key in found:
            raise DataError(f"image_folder: {path} and {found[key].name} have the same name")
        found[key] = path
    wanted = [path.relative_to(root).with_suffix("") for path in paths]
    alone = [one for one in wanted if one not in found]
    if alone:
        raise DataError(
            f"image_folder: {len(alone)} of {len(wanted)} images have none beside them in {folder};"
            f" the first is {alone[0]}"
        )
    return [found[one] for one in wanted]


def _shown(name: str) -> bool:
    return not name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and _shown(path.name) and path.is_file()


def images_under(folder: Path) -> Iterator[Path]:
    """Every image in a folder and below, in the order of their paths."""
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(filter(_shown, inner))
        yield from (path for name in sorted(names) if _is_image(path := Path(place, name)))
