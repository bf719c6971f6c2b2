"""Where the files of a published dataset are: in a folder, or in the archive as it is published.

An archive is read where it is, member by member; nothing is ever unpacked. One that has a member
with a path out of its folder, a link or a device is refused all the same, since it is not what was
published. Downloads are torchvision's, with its sums, beside the final name and under a lock.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from attrs import frozen
from filelock import FileLock

from diffx_core import DataError
from diffx_datasets.packing import stamp

READING = (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file is known to raise."""
SMALL = 2**26
"""Bytes that one of many files may have."""


@frozen
class Place:
    """Files by name, in a folder or in a tar or zip archive.

    Args:
        dataset: whose they are, for messages.
        path: the folder or the archive.
        inner: the folder inside the archive.
    """

    dataset: str
    path: Path
    inner: str = ""

    def facts(self, names: Sequence[str]) -> list[tuple[str, int, int]]:
        """What tells these files from other versions of them."""
        if self.path.is_dir():
            return [stamp(self.path / name) for name in names if self._there(name)]
        return [stamp(self.path)]

    def read(self, name: str) -> bytes:
        """All of a file."""
        with self.opened(name) as file:
            return file.read()

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """A file, to be read in order.

        Raises:
            DataError: it is missing or damaged, or the archive is not what was published.
        """
        try:
            if self.path.is_dir():
                with (self.path / name).open("rb") as file:
                    yield file
            else:
                with tarfile.open(self.path) as archive, self._member(archive, name) as file:
                    yield file
        except (*READING, KeyError) as error:
            raise self._unread(name, error) from error

    def each(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Many small files, each with its name; a zip archive is opened once for all of them."""
        if self.path.is_dir():
            yield from ((name, self.read(name)) for name in names)
            return
        name = "its list of contents"
        try:
            with zipfile.ZipFile(self.path) as archive:
                self._refuse_hostile(archive.namelist())
                for name in names:
                    if archive.getinfo(f"{self.inner}{name}").file_size > SMALL:
                        raise ValueError("it claims to be larger than an image can be")
                    yield name, archive.read(f"{self.inner}{name}")
        except (*READING, KeyError) as error:
            raise self._unread(name, error) from error

    def _unread(self, name: str, error: Exception) -> DataError:
        reason, *_ = str(getattr(error, "strerror", None) or error).splitlines() or [
            type(error).__name__
        ]
        return DataError(
            f"{self.dataset}: {name} in {self.path} cannot be read ({reason}); get it anew"
        )

    def _member(self, archive: tarfile.TarFile, name: str) -> IO[bytes]:
        members = list(listed(archive))
        self._refuse_hostile([one.name for one in members])
        odd = [one.name for one in members if not (one.isfile() or one.isdir())]
        if odd:
            raise DataError(f"{self.dataset}: {self.path} is refused: {odd[0]!r} is a link or such")
        file = archive.extractfile(f"{self.inner}{name}")
        if file is None:
            raise OSError("is not a file")
        return file

    def _refuse_hostile(self, names: Sequence[str]) -> None:
        for name in names:
            if leads_out(name):
                raise DataError(
                    f"{self.dataset}: {self.path} is refused: {name!r} leads out of its folder"
                )

    def _there(self, name: str) -> bool:
        return (self.path / name).is_file()


def listed(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive; a size below zero would lead back to one of them, and for ever."""
    while (one := archive.next()) is not None:
        if one.size < 0:
            raise tarfile.ReadError(f"{one.name!r} has a size below zero")
        yield one


def leads_out(name: str) -> bool:
    """Whether the path of a member would lead out of the folder of its archive."""
    return ".." in PurePosixPath(name).parts or name.startswith("/") or "\\" in name


def archived(
    dataset: str, root: Path, *, folder: str, archive: str, wanted: str, published: str, fetch: bool
) -> Place:
    """The place of a dataset that is published as one archive; fetched, if that was asked for.

    Args:
        dataset: whose files.
        root: where to look, and to put the archive.
        folder: inside the archive, and inside `root` where it was unpacked.
        archive: name of the archive.
        wanted: a file by which a folder is recognised.
        published: what torchvision calls the dataset, which knows its address and sum.
        fetch: whether to fetch what is not there.

    Raises:
        DataError: it is not there, or cannot be fetched.
    """

    def found() -> Place | None:
        for one in (root / folder, root):
            if (one / wanted).is_file():
                return Place(dataset, one)
        there = (root / archive).is_file()
        return Place(dataset, root / archive, f"{folder}/") if there else None

    place = found()
    if place is None and fetch:
        from torchvision import datasets

        source = getattr(datasets, published)
        download(dataset, root, [(archive, source.tgz_md5)], lambda _: [source.url])
        place = found()
    if place is None:
        raise missing(dataset, root, archive)
    return place


def missing(dataset: str, root: Path, what: str, *, can_download: bool = True) -> DataError:
    """The one line about files that are not there."""
    loading = ", or say --dataset.download true" if can_download else ""
    return DataError(f"{dataset}: no data in {root}: place {what} there{loading}")


def download(
    dataset: str,
    root: Path,
    files: Sequence[tuple[str, str]],
    sources: Callable[[str], Sequence[str]],
) -> None:
    """Fetch what is not there yet, verified.

    Args:
        dataset: whose files.
        root: where to put them.
        files: their names and MD5 sums.
        sources: the addresses of a file, in the order in which they are tried.

    Raises:
        DataError: none of the addresses gives the right file.
    """
    from torchvision.datasets.utils import download_url

    partial = root / ".partial"
    partial.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".download.lock"):
        for name, md5 in files:
            reason = ""
            for url in sources(name):
                if (root / name).is_file():
                    break
                try:
                    download_url(url, str(partial), filename=name, md5=md5)
                    (partial / name).rename(root / name)
                except (OSError, RuntimeError, ValueError) as error:
                    (partial / name).unlink(missing_ok=True)
                    reason = str(error)
            if not (root / name).is_file():
                raise DataError(
                    f"{dataset}: {name} cannot be downloaded ({reason}); place it in {root}"
                    f" yourself, from {' or '.join(sources(name))}"
                )
