"""CelebA: aligned faces in a folder or their zip archive, with lists of attributes and splits."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, in_, le

from diffx_core import ConfigError, DataError
from diffx_datasets.decoding import UnreadableError, decoded
from diffx_datasets.packed_images import PackedImages
from diffx_datasets.packing import Pixels, Source, stamp
from diffx_datasets.places import Place, missing

IMAGES = "img_align_celeba"
SPLITS = {"train": "0", "valid": "1", "test": "2"}
PARTITION, ATTRIBUTES = "list_eval_partition.txt", "list_attr_celeba.txt"


@frozen(kw_only=True)
class CelebA(PackedImages):
    """202599 faces of celebrities, of 178x218 pixels before the largest square is resized.

    It cannot be downloaded from here: its site asks for consent.

    Args:
        root: the folder with img_align_celeba.zip (or the folder img_align_celeba),
            list_eval_partition.txt and, for labels, list_attr_celeba.txt; or one with all this in
            celeba/.
        size: side of the images in pixels.
        split: train, valid, test, or all.
        attribute: whether a face has it is its label (0 or 1), Smiling for instance; by default
            there are no labels.

    References:
        Liu et al., 2015, Deep learning face attributes in the wild (arXiv:1411.7766).
    """

    root: Path = Path("data")
    size: int = field(default=64, validator=and_(ge(4), le(256)))
    split: Literal["train", "valid", "test", "all"] = field(
        default="train", validator=in_(("train", "valid", "test", "all"))
    )
    attribute: str | None = None
    flip: bool = True

    def source(self) -> Source:
        """The files that the lists name."""
        folder = next((one for one in self._folders() if (one / PARTITION).is_file()), None)
        if folder is None:
            raise missing(
                "celeba",
                self.root,
                f"{IMAGES}.zip, {PARTITION} and {ATTRIBUTES}",
                can_download=False,
            )
        archive = folder / f"{IMAGES}.zip"
        unpacked = folder / IMAGES
        if not unpacked.is_dir() and not archive.is_file():
            raise missing("celeba", folder, archive.name, can_download=False)
        place = (
            Place("celeba", unpacked)
            if unpacked.is_dir()
            else Place("celeba", archive, f"{IMAGES}/")
        )
        names = self._names(folder / PARTITION)
        labels = self._labels(folder / ATTRIBUTES)
        lists = [PARTITION, ATTRIBUTES] if self.attribute else [PARTITION]
        return Source(
            name="celeba",
            facts={
                "root": str(self.root.resolve()),
                "files": [*place.facts(names), *(stamp(folder / one) for one in lists)],
                "options": (self.size, self.split, self.attribute),
            },
            shape=(3, self.size, self.size),
            num_classes=None if labels is None else 2,
            images=lambda: self._images(place, names, labels),
        )

    def _folders(self) -> tuple[Path, Path]:
        return self.root, self.root / "celeba"

    def _names(self, path: Path) -> list[str]:
        wanted = set(SPLITS.values()) if self.split == "all" else {SPLITS[self.split]}
        rows = [line.split() for line in _lines(path)]
        if any(len(row) != 2 or not _is_name(row[0]) for row in rows):
            raise DataError(f"celeba: {path} is not a list of names and splits")
        return [name for name, split in rows if split in wanted]

    def _labels(self, path: Path) -> dict[str, int] | None:
        if self.attribute is None:
            return None
        if not path.is_file():
            raise missing("celeba", path.parent, path.name, can_download=False)
        _, header, *rows = [*_lines(path), "", ""]
        attributes = header.split()
        if self.attribute not in attributes:
            known = ", ".join(attributes)
            raise ConfigError(f"celeba: no attribute {self.attribute}; there are {known}")
        column = attributes.index(self.attribute) + 1
        table = (row.split() for row in rows if row)
        return {row[0]: int(row[column] == "1") for row in table if len(row) > column}

    def _images(
        self, place: Place, names: list[str], labels: dict[str, int] | None
    ) -> Iterator[tuple[Pixels, int | None]]:
        for name, content in place.each(names):
            if labels is not None and name not in labels:
                raise DataError(f"celeba: {name} has no row in {ATTRIBUTES}")
            try:
                pixels = decoded(io.BytesIO(content), self.size, grey=False)
            except UnreadableError as error:
                raise DataError(f"celeba: {name} in {place.path} {error}; get it anew") from error
            yield pixels, None if labels is None else labels[name]


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"celeba: {path} cannot be read ({error})") from error


def _is_name(name: str) -> bool:
    return Path(name).name == name and name not in {"..", "."}
