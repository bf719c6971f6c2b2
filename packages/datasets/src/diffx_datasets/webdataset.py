"""Images in tar shards, as WebDataset writes them: files of one name are one example.

    0007.jpg  0007.cls  0007.txt  0007.json

An index of where each file is, and of the labels, is made once; then any example is one read.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np
from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_core import DataError
from diffx_datasets.classes import CAN_BE_SAID, classes_of
from diffx_datasets.decoding import UnreadableError
from diffx_datasets.examples import Examples
from diffx_datasets.keeping import kept
from diffx_datasets.large_images import LargeImages
from diffx_datasets.packing import stamp
from diffx_datasets.shards import NOWHERE, Part, Shards, Table, Texts, said
from diffx_datasets.tar_index import Member, members
from diffx_datasets.waiting import waiting

VERSION = 2
"""Part of every fingerprint: raise it when the same shards have another index."""
DIGITS = 9
"""Of a class number, at most."""
IMAGES = frozenset({"png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm"})


@frozen(kw_only=True)
class WebDataset(LargeImages):
    """Images in tar shards with labels and texts beside them.

    Args:
        root: the folder with the shards, in the order of their names, or one shard.
        size: side of the images in pixels; the largest centred square is resized to it.
        grey: keep brightness only.
        label: which file has the class as a whole number, if there is one: cls, or a field of a
            JSON file such as json.label.
        caption: which file has the text, which an encoder can read: txt, or a field such as
            json.caption; by default none.
        num_classes: how many classes there are, of which some may have no example here; by default
            one more than the highest label.

    References:
        Aizman et al., 2019, High performance I/O for large scale deep learning (arXiv:2001.01858).
    """

    root: Path
    size: int = field(default=64, validator=and_(ge(4), le(1024)))
    grey: bool = False
    label: str = "cls"
    caption: str | None = None
    num_classes: int | None = field(default=None, validator=CAN_BE_SAID)

    def examples(self) -> Examples:
        """The examples, by shard and place."""
        paths = self._shards()
        facts = {
            "root": str(self.root.resolve()),
            "files": [stamp(one) for one in paths],
            "parts": (self.label, self.caption),
        }
        folder = kept(
            "webdataset-index",
            {"version": VERSION, **facts},
            lambda empty: np.save(empty / "index.npy", self._table(paths)),
        )
        table: Table = np.load(folder / "index.npy", mmap_mode="r")
        label = np.array(table[:, Part.LABEL]) if table[0, Part.LABEL] >= 0 else None
        captions = self._texts(paths, table)
        return Examples(
            name="webdataset",
            facts={**facts, "options": (self.size, self.grey, self.num_classes)},
            shape=(1 if self.grey else 3, self.size, self.size),
            readable=Shards(paths, table, self.size, self.grey, captions),
            label=label,
            num_classes=classes_of(label, self.num_classes, f"webdataset: {self.root}"),
            captions=captions,
        )

    def _texts(self, paths: list[Path], table: Table) -> Texts | None:
        if self.caption is None:
            return None
        count = int((table[:, Part.TEXT] >= 0).sum())
        if not count:
            raise DataError(f"webdataset: the examples in {self.root} have no {self.caption}")
        if count < len(table) and self.on_bad == "error":
            raise DataError(
                f"webdataset: {self.root} has texts for {count} of {len(table)} examples;"
                " --dataset.caption names another file, or none, and --dataset.on_bad skip leaves"
                " out those without one"
            )
        return Texts(paths, table, self.caption)

    def _shards(self) -> list[Path]:
        if self.root.is_file():
            return [self.root]
        found = sorted(self.root.glob("*.tar"))
        if not found:
            raise DataError(
                f"webdataset: there are no .tar files in {self.root}; --dataset.root names a folder"
                " with shards, or one shard"
            )
        return found

    def _table(self, paths: list[Path]) -> Table:
        numbered = waiting(list(enumerate(paths)), "webdataset: shards")
        found = [np.array(list(self._rows(k, path)), np.int64) for k, path in numbered]
        found = [one for one in found if len(one)]
        if not found:
            raise DataError(f"webdataset: there are no images in {self.root}")
        table = np.concatenate(found)
        there = table[:, Part.LABEL] >= 0
        if there.any() and not there.all():
            raise DataError(
                f"webdataset: {self.root} has labels for {int(there.sum())} of {len(table)}"
                " examples; --dataset.label names another file, or none"
            )
        return table

    def _rows(self, shard: int, path: Path) -> Iterator[list[int]]:
        shown = (one for one in members(path) if not PurePosixPath(one.name).name.startswith("."))
        for key, files in groupby(shown, _key):
            by_kind = _by_kind(f"webdataset: {path}: {key}", files)
            image = next(one for kind, one in by_kind.items() if kind in IMAGES)
            text = NOWHERE if self.caption is None else by_kind.get(_file(self.caption), NOWHERE)
            label = by_kind.get(_file(self.label))
            yield [
                shard,
                image.offset,
                image.size,
                text.offset,
                text.size,
                -1 if label is None else self._number(path, label),
            ]

    def _number(self, path: Path, file: Member) -> int:
        try:
            value = said(path, file.offset, file.size, self.label)
        except UnreadableError as error:
            raise DataError(f"webdataset: {path}: {error}") from error
        if not (value.isdecimal() and value.isascii()) or len(value) > DIGITS:
            raise DataError(
                f"webdataset: {path}: {file.name} says {value[:40]!r}, which is no class number"
            )
        return int(value)


def _by_kind(where: str, files: Iterable[Member]) -> dict[str, Member]:
    """The files of an example, of which one is an image."""
    found: dict[str, Member] = {}
    for one in files:
        kind = _kind(one)
        if kind in found:
            raise DataError(
                f"{where} has two files .{kind}; if they are two examples, give them two names"
            )
        found[kind] = one
    images = [kind for kind in found if kind in IMAGES]
    if not images:
        raise DataError(f"{where} has no image: it has {', '.join(found)}")
    if len(images) > 1:
        raise DataError(f"{where} has {len(images)} images ({', '.join(images)}); keep one of them")
    return found


def _file(part: str) -> str:
    """The kind of file of a part: json of json.label."""
    return "json" if part.startswith("json.") else part


def _key(file: Member) -> str:
    """What the files of an example have in common: the path up to the first dot of the name."""
    path = PurePosixPath(file.name)
    return str(path.with_name(path.name.partition(".")[0]))


def _kind(file: Member) -> str:
    return PurePosixPath(file.name).name.partition(".")[2].lower()
