"""What shards of latents keep of the images that they were made of, and what they cannot."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffx_core import ConfigError, DataError, Dataset, DataSpec
from diffx_datasets.encoding import encode, require
from diffx_datasets.image_folder import ImageFolder
from diffx_datasets.latents import Latents


class Quarter:
    """Stands for an autoencoder: a fourth of the pixels."""

    channels = 3
    factor = 2

    def encode(self, images):
        return images[:, :, ::2, ::2]


class Sparse(Dataset):
    """Images of two of five classes."""

    spec = DataSpec(shape=(3, 8, 8), num_classes=5, value_range=(-1.0, 1.0))

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def batch(self, index):
        return self.images.batch(index)


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(0)
    for folder in ("images", "beside"):
        for k in range(6):
            path = tmp_path / folder / "ab"[k % 2] / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
            path.with_suffix(".txt").write_text(f"a text: {k}")
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("size", "factor", "near"), [(17, 2, "16 or 18"), (12, 8, "8 or 16"), (6, 8, "8")]
)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "kept"])
def test_a_size_of_broken_latents_is_refused_before_any_image_is_decoded(
    images, cache, size, factor, near, stream
):
    network = Quarter()
    network.factor = factor
    expected = (
        f"the autoencoder makes a latent of {factor} x {factor} pixels, and {factor} does not"
        f" divide images of {size} x {size}: --dataset.size {near} fits"
    )
    with pytest.raises(ConfigError) as caught:
        require(ImageFolder(root=images, size=size, stream=stream), network)
    assert str(caught.value) == expected
    assert list(cache.iterdir()) == []


class Overflowing(Quarter):
    """Makes of the fourth image, or of its mirror image, what half precision cannot hold."""

    def __init__(self, fourth):
        self.fourth = fourth

    def encode(self, images):
        lost = (images == self.fourth).flatten(1).all(1)
        return super().encode(images) + 1e6 * lost[:, None, None, None]


@pytest.mark.parametrize("mirrored", [False, True])
def test_latents_that_half_precision_cannot_hold_are_refused(images, tmp_path, mirrored):
    data = ImageFolder(root=images, size=8)
    fourth = data.batch(torch.tensor([3])).x
    network = Overflowing(fourth.flip(-1) if mirrored else fourth)
    with pytest.raises(DataError, match="image 3 of the data has latents that are not finite"):
        encode(data, network, tmp_path, device=torch.device("cpu"), batch_size=2, mirrored=mirrored)


def encoded(data, out):
    out.mkdir()
    encode(data, Quarter(), out, device=torch.device("cpu"), per_shard=4)
    return out


def test_other_images_are_not_dropped_but_refused(images, tmp_path):
    pairs = ImageFolder(root=images, size=8, beside=tmp_path / "beside")
    with pytest.raises(ConfigError, match=r"no images beside the images; .*--dataset\.beside"):
        require(pairs, Quarter())
    require(ImageFolder(root=images, size=8), Quarter())


def test_classes_without_an_example_are_kept(images, tmp_path):
    data = Sparse(ImageFolder(root=images, size=8))
    assert Latents(root=encoded(data, tmp_path / "out")).spec.num_classes == 5


def test_texts_about_the_images_stay_with_them(images, tmp_path):
    (images / "a" / "0.txt").write_text("Möwen über \U0001f30a", encoding="utf-8")
    data = ImageFolder(root=images, size=8, captions="txt")
    latents = Latents(root=encoded(data, tmp_path / "out"), captions=True)
    index = torch.tensor([5, 0, 4, 3, 0])
    assert latents.spec.captions
    expected = data.batch(index).captions
    assert expected[1] == "Möwen über \U0001f30a"
    (shard,) = latents.on("meta").shards  # what an accelerator gets
    assert shard.captions == data.batch(torch.arange(6)).captions
    assert latents.batch(index).captions == expected
    assert latents.augmented(index, seed=0, step=1).captions == expected


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "kept"])
def test_images_that_cannot_be_used_are_left_out_and_nothing_stands_in(images, tmp_path, stream):
    whole = encoded(ImageFolder(root=images, size=8, captions="txt"), tmp_path / "whole")
    (images / "a" / "2.png").write_bytes(b"spoilt")
    bad = {"on_bad": "skip", "stream": stream, "max_bad": 0.5}
    data = ImageFolder(root=images, size=8, captions="txt", **bad)
    out = tmp_path / "out"
    out.mkdir()
    cpu = torch.device("cpu")
    assert encode(data, Quarter(), out, device=cpu, batch_size=1, per_shard=4).examples == 5
    before, after = (Latents(root=one, captions=True) for one in (whole, out))
    old, new = before.batch(torch.tensor([0, 2, 3, 4, 5])), after.batch(torch.arange(5))
    assert len(after) == 5
    assert new.captions == old.captions
    assert new.cond.label.tolist() == old.cond.label.tolist()
    scaled = [one.standard.undone(some.x) for one, some in ((before, old), (after, new))]
    torch.testing.assert_close(*scaled)


def test_a_shard_of_which_nothing_can_be_used_is_refused(images, tmp_path):
    for image in (images / "a").iterdir():
        image.write_bytes(b"spoilt")
    data = ImageFolder(root=images, size=8, on_bad="skip", stream=True, max_bad=0.5)
    with pytest.raises(DataError, match="none of the images 0 to 1 of the data can be used"):
        encode(data, Quarter(), tmp_path, device=torch.device("cpu"), per_shard=2)


def test_texts_that_nobody_asked_for_are_left_where_they_are(images, tmp_path):
    data = ImageFolder(root=images, size=8, captions="txt")
    latents = Latents(root=encoded(data, tmp_path / "out"))
    assert not latents.spec.captions
    assert latents.batch(torch.arange(2)).captions is None


def test_texts_that_were_asked_for_have_to_be_there(images, tmp_path):
    out = encoded(ImageFolder(root=images, size=8), tmp_path / "out")
    with pytest.raises(DataError, match=r"has no texts .*leave out --dataset\.captions"):
        _ = Latents(root=out, captions=True).spec


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (b'["one", "two"]', "has 2 texts about 3 images"),
        (b'["one", "two", 3]', "not the bytes of a JSON list of texts"),
        (b'{"one": 1}', "not the bytes of a JSON list of texts"),
        (b"[" * 100_000, "not the bytes of a JSON list of texts"),
        (b'["", "a \\ud83d", ""]', r"number 1 has a text with '\\ud83d', half of a character"),
        (b'["\xff", "", ""]', "not the bytes of a JSON list of texts"),
        ([1.0], "not the bytes of a JSON list of texts"),
    ],
    ids=["too few", "a number", "no list", "deep", "half a character", "no UTF-8", "floats"],
)
def test_texts_that_make_no_sense_are_refused(tmp_path, found, problem):
    bytes_ = isinstance(found, bytes)
    captions = torch.tensor(list(found), dtype=torch.uint8 if bytes_ else torch.float32)
    tensors = {"latents": torch.randn(3, 4, 2, 2), "captions": captions}
    save_file(tensors, tmp_path / "latents.safetensors")
    with pytest.raises(DataError, match=problem):
        _ = Latents(root=tmp_path, captions=True).spec


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("2", "has the label 2 of 2 classes"),
        ("two", "there are 'two' classes, which is no number"),
        ("9" * 50, "which is no number"),
    ],
)
def test_a_number_of_classes_that_cannot_be_is_refused(tmp_path, said, problem):
    tensors = {"latents": torch.randn(3, 4, 2, 2), "label": torch.arange(3)}
    save_file(tensors, tmp_path / "latents.safetensors", {"num_classes": said})
    with pytest.raises(DataError, match=problem):
        _ = Latents(root=tmp_path).spec


def test_classes_need_labels(tmp_path):
    tensors = {"latents": torch.randn(3, 4, 2, 2)}
    save_file(tensors, tmp_path / "latents.safetensors", {"num_classes": "3"})
    with pytest.raises(DataError, match="there are 3 classes, and has no labels"):
        _ = Latents(root=tmp_path).spec
