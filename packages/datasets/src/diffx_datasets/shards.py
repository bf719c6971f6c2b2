"""The examples of tar shards, each read from where it lies by an index.

Shapes: table (N, 6), a row for each example with the columns of `Part`.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from diffx_datasets.captions import one_line, require_text
from diffx_datasets.decoding import UnreadableError, decoded
from diffx_datasets.packing import Pixels
from diffx_datasets.places import SMALL
from diffx_datasets.tar_index import BLOCK, Member

Table = npt.NDArray[np.int64]
NOWHERE = Member("", -1, -1)
"""The place of a file that an example does not have."""


class Part(IntEnum):
    """The columns of an index."""

    SHARD = 0
    IMAGE = 1
    IMAGE_SIZE = 2
    TEXT = 3
    TEXT_SIZE = 4
    LABEL = 5


@frozen(eq=False)
class Shards:
    """Images in tar archives.

    Args:
        paths: of the archives.
        table: where the images are.
        size: side in pixels.
        grey: keep brightness only.
        captions: one about each image; an image without one cannot be used.
    """

    paths: Sequence[Path] = field(repr=False)
    table: Table = field(repr=False)
    size: int
    grey: bool
    captions: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.table)

    def pixels(self, position: int) -> Pixels:
        """The image of an example."""
        require_text(self.captions, position)
        shard, offset, size, *_ = self.table[position].tolist()
        if size > SMALL:
            raise UnreadableError("claims to be larger than an image can be")
        try:
            content = cut(self.paths[shard], offset, size)
        except OSError as error:
            raise UnreadableError(f"cannot be read ({error.strerror or error})") from error
        return decoded(io.BytesIO(content), self.size, grey=self.grey)

    def place(self, position: int) -> str:
        """The shard and the file in it, which its header names."""
        shard, offset, *_ = self.table[position].tolist()
        try:
            header = cut(self.paths[shard], offset - BLOCK, BLOCK)
            name = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").name
        except (OSError, tarfile.TarError):  # the shard has gone, or changed, since it was indexed
            name = f"byte {offset}"
        return f"{self.paths[shard]}: {name}"


@frozen(eq=False)
class Texts(Sequence[str]):
    """Texts in tar archives.

    Args:
        paths: of the archives.
        table: where the texts are.
        part: which part of an example is its text.
    """

    paths: Sequence[Path] = field(repr=False)
    table: Table = field(repr=False)
    part: str

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, position: int) -> str:  # type: ignore[override] # never a slice
        """A text, or an `UnreadableError` with the reason why there is none."""
        row = self.table[position].tolist()
        if row[Part.TEXT] < 0:
            raise UnreadableError(f"has no caption (there is no {self.part})")
        place = self.paths[row[Part.SHARD]], row[Part.TEXT], row[Part.TEXT_SIZE]
        try:
            return one_line(said(*place, self.part))
        except UnreadableError as error:
            raise UnreadableError(f"has no caption ({error})") from error


def cut(path: Path, offset: int, size: int) -> bytes:
    """Some bytes of a file."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)


def said(path: Path, offset: int, size: int, part: str) -> str:
    """What a small file in an archive says: its text, or a field of it, such as json.label.

    Raises:
        UnreadableError: it is damaged, or has no such field.
    """
    if size > SMALL:
        raise UnreadableError(f"the {part} at byte {offset} is too large for a text")
    try:
        text = cut(path, offset, size).decode("utf-8")
        if not part.startswith("json."):
            return text.strip()
        return _plain(json.loads(text)[part.removeprefix("json.")]).strip()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else error
        raise UnreadableError(f"the {part} at byte {offset} cannot be read: {reason}") from error


def _plain(value: object) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"it is neither a text nor a whole number: {str(value)[:40]}")
