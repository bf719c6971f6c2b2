"""Archives of published datasets that are hostile or cut off."""

import gzip
import tarfile
import zipfile

import pytest

from diffx_core import DataError
from diffx_datasets.celeba import CelebA
from diffx_datasets.cifar10 import CIFAR10
from published_formats import cifar_files, raw_header, write_celeba, write_tar

CIFAR = "cifar-10-batches-py"


def member(name, kind=tarfile.REGTYPE, target=""):
    one = tarfile.TarInfo(name)
    one.type, one.linkname = kind, target
    return one


@pytest.mark.parametrize(
    "extra",
    [
        member("../outside"),
        member("/etc/outside"),
        member(f"{CIFAR}/link", tarfile.SYMTYPE, "/etc/passwd"),
        member(f"{CIFAR}/hard", tarfile.LNKTYPE, "../../outside"),
        member(f"{CIFAR}/pipe", tarfile.FIFOTYPE),
    ],
    ids=["up", "absolute", "symlink", "hardlink", "pipe"],
)
def test_a_hostile_tar_archive_is_refused(tmp_path, extra):
    files, _ = cifar_files()
    write_tar(tmp_path / "cifar-10-python.tar.gz", CIFAR, files, [extra])
    with pytest.raises(DataError, match=r"cifar10: .*cifar-10-python\.tar\.gz is refused"):
        len(CIFAR10(root=tmp_path))


def test_a_size_that_leads_back_is_refused(tmp_path):
    content = raw_header(f"{CIFAR}/one", 0) + raw_header("two", -512) + b"\0" * 1024
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=r"'two' has a size below zero"):
        len(CIFAR10(root=tmp_path))


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_cut_off_archive_is_refused(tmp_path, keep):
    files, _ = cifar_files()
    path = write_tar(tmp_path / "cifar-10-python.tar.gz", CIFAR, files)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz cannot be read .*get it anew"):
        len(CIFAR10(root=tmp_path))


def test_a_zip_archive_that_leads_out_is_refused(tmp_path):
    write_celeba(tmp_path)
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "a") as archive:
        archive.writestr("../outside.jpg", b"")
    with pytest.raises(DataError, match=r"is refused: '\.\./outside\.jpg' leads out"):
        len(CelebA(root=tmp_path))
