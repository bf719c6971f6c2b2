"""What is where in a tar archive, so that any member can be read alone.

An archive is looked through once, header by header; nothing is unpacked. One that is packed as a
whole, is cut off, or has a member that is no plain file, or whose path leads out of its folder, is
refused.
"""

import tarfile
from collections.abc import Iterator
from io import BufferedReader, FileIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from diffx_core import DataError
from diffx_datasets.places import READING, leads_out, listed

BLOCK = tarfile.BLOCKSIZE
LONGEST = 2**20
"""Bytes that a header may have: names and other words about a file."""


class Member(NamedTuple):
    """A file inside an archive.

    Args:
        name: its path there.
        offset: of its first byte.
        size: in bytes.
    """

    name: str
    offset: int
    size: int


class Headers(BufferedReader):
    """A file of which only headers are read: one that claims more would take all memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes, but not many."""
        if size is None or not 0 <= size <= LONGEST:
            raise ValueError(f"a header claims to have {size} bytes")
        return super().read(size)


def members(path: Path) -> Iterator[Member]:
    """The files of an archive in their order.

    Raises:
        DataError: it is not a whole, plain tar archive of harmless members.
    """
    try:
        with Headers(FileIO(path)) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            length = path.stat().st_size
            for one in listed(archive):
                if not one.isdir():
                    yield _harmless(path, one, length)
            _ended(path, archive.offset)
    except READING as error:
        raise DataError(f"{path}: is no tar archive that can be read as it is: {error}") from error


def _harmless(path: Path, one: tarfile.TarInfo, length: int) -> Member:
    if not one.isreg() or one.issparse():
        raise DataError(f"{path} is refused: {one.name!r} is a link or such")
    if not PurePosixPath(one.name).name:
        raise DataError(f"{path} is refused: a file in it has no name")
    if leads_out(one.name):
        raise DataError(f"{path} is refused: {one.name!r} leads out of its folder")
    if one.offset_data + one.size > length:
        raise DataError(f"{path}: is cut off in {one.name!r}; get it anew")
    return Member(one.name, one.offset_data, one.size)


def _ended(path: Path, offset: int) -> None:
    """A damaged header, and a cut between two members, look to tarfile like the end."""
    with path.open("rb") as file:
        file.seek(offset)
        end = file.read(BLOCK)
        if end.strip(b"\0"):
            raise DataError(f"{path}: is damaged after {offset} bytes; get it anew")
        if len(end) < BLOCK:
            raise DataError(
                f"{path}: is cut off after {offset} bytes, where the end of an archive is missing;"
                " get it anew"
            )
        while rest := file.read(LONGEST):
            if rest.strip(b"\0"):
                raise DataError(
                    f"{path}: goes on after the end of an archive, {offset} bytes in; unpack it and"
                    " pack all of it as one archive"
                )
