"""Published datasets, read from small files in their formats."""

import gzip

import numpy as np
import pytest
import torch

from diffx_core import ConfigError, DataError
from diffx_datasets.celeba import CelebA
from diffx_datasets.cifar10 import CIFAR10
from diffx_datasets.mnist import MNIST, FashionMNIST
from diffx_datasets.stl10 import STL10
from published_formats import (
    cifar_batch,
    cifar_files,
    classes,
    idx,
    noise,
    stl_files,
    write_celeba,
    write_folder,
    write_mnist,
    write_tar,
)

CIFAR, STL = "cifar-10-batches-py", "stl10_binary"
ALL = [MNIST, FashionMNIST, CIFAR10, STL10, CelebA]


def read(data):
    batch = data.batch(torch.arange(len(data)))
    label = None if batch.cond.label is None else batch.cond.label.tolist()
    return ((batch.x + 1) * 127.5).round().to(torch.uint8).numpy(), label


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("kind", "place"), [(MNIST, "MNIST/raw"), (FashionMNIST, ".")])
def test_mnist_is_what_its_files_hold(tmp_path, kind, place, packed):
    images, labels = write_mnist(tmp_path / place, packed=packed)
    x, label = read(kind(root=tmp_path, size=28))
    assert np.array_equal(x[:, 0], images)
    assert label == labels.tolist()


def test_mnist_has_a_border_at_32(tmp_path):
    images, _ = write_mnist(tmp_path)
    x, _ = read(MNIST(root=tmp_path))
    assert np.array_equal(x[:, 0, 2:-2, 2:-2], images)
    assert x.sum() == images.sum()


def test_mnist_has_a_test_split(tmp_path):
    write_mnist(tmp_path, 20)
    write_mnist(tmp_path, 10, prefix="t10k")
    assert len(MNIST(root=tmp_path, split="test")) == 10


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (idx(noise(2, 28, 28))[:-1], "is cut off"),
        (idx(noise(2, 28, 28)) + b"1", "longer than it says"),
        (idx(noise(2, 28)), "not an IDX file of bytes in 3"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "claims to have"),
        (b"", "cannot be read"),
        (idx(noise(3, 28, 28)), "3 images and 2 labels"),
    ],
    ids=["short", "long", "dimensions", "bomb", "empty", "count"],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content, said):
    write_mnist(tmp_path, 2, packed=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=said):
        len(MNIST(root=tmp_path))


def test_all_files_of_mnist_that_are_not_there_are_named(tmp_path):
    both = "place train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz there, or say"
    with pytest.raises(DataError, match=both):
        len(MNIST(root=tmp_path))
    write_mnist(tmp_path, 2)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r": place train-labels-idx1-ubyte\.gz there"):
        len(MNIST(root=tmp_path))


def test_a_cut_off_gzip_file_is_refused(tmp_path):
    write_mnist(tmp_path, 2)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(noise(2, 28, 28)))[:-50])
    with pytest.raises(DataError, match=r"images-idx3-ubyte\.gz: cannot be read"):
        len(MNIST(root=tmp_path))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10_is_what_its_files_hold(tmp_path, packed, split):
    files, held = cifar_files()
    if packed:
        write_tar(tmp_path / "cifar-10-python.tar.gz", CIFAR, files)
    else:
        write_folder(tmp_path / CIFAR, files)
    x, label = read(CIFAR10(root=tmp_path, split=split))
    parts = [one for name, one in held.items() if (name == "test_batch") == (split == "test")]
    assert np.array_equal(x, np.concatenate([images for images, _ in parts]))
    assert label == np.concatenate([labels for _, labels in parts]).tolist()


def test_cifar10_can_be_enlarged(tmp_path):
    flat = {
        f"data_batch_{k}": cifar_batch(noise(2, 3, 32, 32) * 0 + 9, [0, 1]) for k in range(1, 6)
    }
    write_folder(tmp_path, flat)
    x, _ = read(CIFAR10(root=tmp_path, size=64))
    assert x.shape == (10, 3, 64, 64)
    assert (x == 9).all()


def test_a_batch_that_runs_something_is_refused(tmp_path):
    files, _ = cifar_files()
    write_folder(tmp_path, files)
    victim = tmp_path / "victim"
    (tmp_path / "data_batch_3").write_bytes(f"cos\nsystem\n(S'touch {victim}'\ntR.".encode())
    with pytest.raises(DataError, match=r"data_batch_3 .*names os\.system"):
        len(CIFAR10(root=tmp_path))
    assert not victim.exists()


@pytest.mark.parametrize(
    "content", [b"", b"hello", cifar_batch(noise(2, 3, 32, 32), [1, 2])[:-100], b"\x80\x02}."]
)
def test_a_damaged_batch_is_refused(tmp_path, content):
    files, _ = cifar_files()
    write_folder(tmp_path, files | {"data_batch_2": content})
    with pytest.raises(DataError, match=r"data_batch_2 .*is not a batch of CIFAR-10"):
        len(CIFAR10(root=tmp_path))


@pytest.mark.parametrize("packed", [True, False])
def test_stl10_is_what_its_files_hold(tmp_path, packed):
    files, images, labels = stl_files()
    if packed:
        write_tar(tmp_path / "stl10_binary.tar.gz", STL, files)
    else:
        write_folder(tmp_path / STL, files)
    x, label = read(STL10(root=tmp_path))
    assert np.array_equal(x, images)
    assert label == labels.tolist()
    x, label = read(STL10(root=tmp_path, split="unlabeled", size=48))
    assert x.shape == (10, 3, 48, 48)
    assert label is None


@pytest.mark.parametrize(
    ("name", "cut", "said"),
    [
        ("train_X.bin", 1, "cut off"),
        ("train_y.bin", 1, "more images than labels"),
        ("train_X.bin", 3 * 96 * 96, "9 images and 10 labels"),
    ],
)
def test_a_cut_off_stl10_file_is_refused(tmp_path, name, cut, said):
    files, _, _ = stl_files()
    write_folder(tmp_path, files | {name: files[name][:-cut]})
    with pytest.raises(DataError, match=f"stl10: .*{said}"):
        len(STL10(root=tmp_path))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", [".", "celeba"])
def test_celeba_is_what_its_files_hold(tmp_path, packed, place):
    write_celeba(tmp_path / place, packed=packed)
    x, label = read(CelebA(root=tmp_path, size=16, attribute="Smiling"))
    train = [k for k in range(10) if k % 3 != 2]
    assert x[:, 0, 8, 8].tolist() == [20 * k for k in train]
    assert label == [k % 2 for k in train]
    x, label = read(CelebA(root=tmp_path, size=16, split="test"))
    assert x[:, 0, 8, 8].tolist() == [40, 100, 160]
    assert label is None
    assert len(CelebA(root=tmp_path, split="all")) == 10


def test_an_unknown_attribute_is_answered_with_those_there_are(tmp_path):
    write_celeba(tmp_path)
    with pytest.raises(ConfigError, match="no attribute Smile; there are Bald, Smiling"):
        len(CelebA(root=tmp_path, attribute="Smile"))


def test_a_missing_face_and_a_damaged_one_are_named(tmp_path):
    root = write_celeba(tmp_path, packed=False)
    face = root / "img_align_celeba" / "000004.jpg"
    face.write_bytes(face.read_bytes()[:300])
    with pytest.raises(DataError, match=r"000004\.jpg .*get it anew"):
        len(CelebA(root=tmp_path))
    face.unlink()
    with pytest.raises(DataError, match=r"000004\.jpg .*get it anew"):
        len(CelebA(root=tmp_path))


@pytest.mark.parametrize("kind", ALL)
def test_without_files_one_line_says_what_to_place_where(tmp_path, kind):
    with pytest.raises(DataError) as caught:
        len(kind(root=tmp_path / "data"))
    (line,) = caught.value.problems
    assert f"no data in {tmp_path / 'data'}: place " in line
    assert ("--dataset.download true" in line) == (kind is not CelebA)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", ALL)
def test_photographs_are_mirrored_and_digits_are_not(kind):
    assert kind().flip == (kind not in {MNIST, FashionMNIST})


def test_labels_outside_of_the_classes_are_refused(tmp_path):
    write_mnist(tmp_path, 4, packed=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(classes(4) + 7))
    with pytest.raises(DataError, match="is not one of 0 to 9"):
        len(MNIST(root=tmp_path))
