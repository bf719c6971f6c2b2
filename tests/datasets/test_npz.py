"""Images in one NumPy file."""

import numpy as np
import pytest
import torch

from diffx_core import DataError
from diffx_datasets.npz import Npz

BYTES = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)


def images(path, **options):
    data = Npz(root=path, **options)
    return data.batch(torch.arange(len(data)))


@pytest.fixture
def saved(tmp_path):
    def save(*arrays, **named):
        np.savez_compressed(tmp_path / "data.npz", *arrays, **named)
        return tmp_path / "data.npz"

    return save


def levels(x):
    return ((x + 1) * 127.5).round().to(torch.uint8).numpy()


def test_published_sample_batches_are_read(saved):
    batch = images(saved(BYTES, np.array([1, 0, 2, 2, 1])))
    assert np.array_equal(levels(batch.x), BYTES.transpose(0, 3, 1, 2))
    assert batch.cond.label.tolist() == [1, 0, 2, 2, 1]


@pytest.mark.parametrize("name", ["images", "x", "data"])
def test_images_may_have_a_name_and_no_labels(saved, name):
    batch = images(saved(**{name: BYTES}))
    assert batch.cond.label is None
    assert batch.x.shape == (5, 3, 8, 6)


def test_channels_may_come_first(saved):
    first = BYTES.transpose(0, 3, 1, 2)
    assert np.array_equal(levels(images(saved(images=first)).x), first)


def test_where_both_are_possible_the_layout_can_be_said(saved):
    both = BYTES[:, :3]  # (5, 3, 6, 3)
    assert images(saved(images=both)).x.shape == (5, 3, 3, 6)
    assert np.array_equal(levels(images(saved(images=both), layout="chw").x), both)


def test_grey_images_need_no_axis_of_channels(saved):
    assert np.array_equal(levels(images(saved(images=BYTES[..., 0])).x)[:, 0], BYTES[..., 0])


def test_they_can_be_resized(saved):
    flat = np.full((2, 8, 6, 3), 77, np.uint8)
    x = images(saved(images=flat), size=16).x
    assert x.shape == (2, 3, 16, 16)
    assert (levels(x) == 77).all()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": BYTES}, "no images: it holds pictures"),
        ({"images": BYTES / 255}, r"float64; save them as bytes"),
        ({"images": BYTES[0, 0]}, r"shape \(6, 3\)"),
        ({"images": BYTES[:0]}, r"shape \(0, 8, 6, 3\)"),
        ({"images": BYTES[..., :2]}, "neither 1 nor 3"),
        ({"images": BYTES, "labels": np.arange(4)}, r"5 images and labels of shape \(4,\)"),
        ({"images": BYTES, "labels": np.arange(5) - 1}, "whole numbers from 0"),
        ({"images": BYTES, "labels": np.arange(5) / 2}, "whole numbers from 0"),
        ({"images": np.array([{}, None])}, "cannot be read .*allow_pickle"),
    ],
    ids=["name", "floats", "shape", "none", "channels", "count", "negative", "halves", "objects"],
)
def test_what_cannot_be_used_is_refused_with_the_path(saved, arrays, said):
    with pytest.raises(DataError, match=rf"data\.npz .*{said}"):
        images(saved(**arrays))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.npz cannot be read"):
        images(path)


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "one.npy", BYTES)
    with pytest.raises(DataError, match=r"one\.npy is one array"):
        images(tmp_path / "one.npy")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file .*none\.npz; --dataset\.root"):
        images(tmp_path / "none.npz")
