"""Patches of photographs: where they are cut, and what happens if they cannot be."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffx_cli.__main__ import main
from diffx_core import DataError
from diffx_datasets.patches import Patches

HEIGHT, WIDTH, SIZE = 12, 20, 8


@pytest.fixture
def root(tmp_path):
    """Photographs whose pixels say where they are: red the row, green the column, blue which."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    for k in range(3):
        path = tmp_path / "photos" / ("deeper" if k else ".") / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.stack([rows, columns, np.full_like(rows, 40 * k)], 2).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


def data(root, **options):
    return Patches(root=root, **{"size": SIZE, "flip": False} | options)


def places(x):
    """The row and column of the first pixel of each patch, and of which photograph it is."""
    pixels = ((x + 1) * 127.5).round().long()
    steps = torch.arange(SIZE)
    assert (pixels[:, 0] - pixels[:, 0, :1, :1] == steps[:, None]).all()
    assert (pixels[:, 1] - pixels[:, 1, :1, :1] == steps).all()
    return pixels[:, 0, 0, 0], pixels[:, 1, 0, 0], pixels[:, 2, 0, 0]


def test_every_photograph_is_cut_so_often_in_an_epoch(root):
    one = data(root, per_image=5)
    assert len(one) == 15
    assert one.spec.shape == (3, SIZE, SIZE)
    *_, which = places(one.batch(torch.arange(15)).x)
    assert which.bincount()[[0, 40, 80]].tolist() == [5, 5, 5]


def test_patches_are_cut_evenly_everywhere(root):
    one = data(root, per_image=400)
    down, right, _ = places(one.augmented(torch.arange(1200), seed=1, step=3).x)
    for found, count in ((down, HEIGHT - SIZE + 1), (right, WIDTH - SIZE + 1)):
        often = found.bincount(minlength=count)
        assert len(often) == count
        expected = 1200 / count
        assert ((often - expected) ** 2 / expected).sum() < 2 * count + 10  # chi-squared


def test_places_are_a_function_of_seed_index_and_step(root):
    one, index = data(root, flip=True), torch.tensor([0, 17, 41])
    seen = one.augmented(index, seed=1, step=3).x
    assert torch.equal(data(root, flip=True).augmented(index, seed=1, step=3).x, seen)
    assert torch.equal(one.augmented(index.flip(0), seed=1, step=3).x.flip(0), seen)
    for seed, step in ((2, 3), (1, 4)):
        assert not torch.equal(one.augmented(index, seed=seed, step=step).x, seen)


def test_a_patch_as_large_as_a_photograph_is_the_photograph(root):
    x = data(root, size=HEIGHT, per_image=4).batch(torch.arange(12)).x
    down, right, _ = places(x[..., :SIZE, :SIZE])
    assert (down == 0).all()
    assert right.max() <= WIDTH - HEIGHT


def test_half_are_mirrored_if_asked_for(root):
    x = data(root, per_image=200, flip=True).augmented(torch.arange(600), seed=0, step=0).x
    rising = (x[:, 1, 0, -1] > x[:, 1, 0, 0]).double().mean()
    assert 0.42 < rising < 0.58


def test_large_photographs_can_be_shrunk_first(root):
    x = data(root, shorter=SIZE, per_image=30).batch(torch.arange(90)).x
    rows = ((x + 1) * 127.5)[:, 0]
    assert rows.amin() < 2  # all of the height is there
    assert rows.amax() > HEIGHT - 3
    assert x.shape == (90, 3, SIZE, SIZE)


def test_grey_keeps_brightness_only(root):
    assert data(root, grey=True).batch(torch.arange(2)).x.shape == (2, 1, SIZE, SIZE)


def test_photographs_that_are_too_small_are_named(root):
    Image.new("RGB", (30, 7)).save(root / "9.png")
    with pytest.raises(DataError, match=r"9\.png: has 30x7 pixels, fewer than a patch .*skip"):
        data(root).batch(torch.arange(48))


def test_photographs_that_are_left_out_are_replaced(root):
    Image.new("RGB", (30, 7)).save(root / "9.png")
    one = data(root, on_bad="skip", per_image=10)
    *_, which = places(one.batch(torch.arange(40)).x)
    assert len(one) == 40
    assert sorted(which.bincount()[[0, 40, 80]].tolist()) == [10, 10, 20]


def test_only_so_many_may_be_left_out(root):
    for k in range(4):
        (root / f"bad{k}.png").touch()
    with pytest.raises(DataError, match="2 files cannot be used, 1 may be left out"):
        data(root, on_bad="skip").batch(torch.arange(7))


def test_without_photographs_one_line_says_what_to_do(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"no images in .*--dataset\.root names a folder"):
            len(data(root))


def test_training_is_the_same_with_any_number_of_workers(root, tmp_path):
    logs = []
    for workers in ("0", "2"):
        words = ["--dataset", "patches", "--dataset.root", str(root), "--dataset.size", "8"]
        words += ["--train.workers", workers, "--train.steps", "3", "--train.batch_size", "4"]
        assert main(["train", *words, "--out", str(tmp_path / workers)]) == 0
        weights = tmp_path / workers / "checkpoints" / "step-00000003" / "model.safetensors"
        logs.append(weights.read_bytes())
    assert logs[0] == logs[1]
