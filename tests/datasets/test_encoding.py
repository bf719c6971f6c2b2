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


def test_texts_and_other_images_are_not_dropped_but_refused(images, tmp_path):
    texts = ImageFolder(root=images, size=8, captions="txt")
    with pytest.raises(ConfigError, match=r"no texts about the images; .*--dataset\.captions"):
        require(texts, Quarter())
    pairs = ImageFolder(root=images, size=8, beside=tmp_path / "beside")
    with pytest.raises(ConfigError, match=r"no images beside the images; .*--dataset\.beside"):
        require(pairs, Quarter())
    require(ImageFolder(root=images, size=8), Quarter())


def test_classes_without_an_example_are_kept(images, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    data = Sparse(ImageFolder(root=images, size=8))
    encode(data, Quarter(), out, device=torch.device("cpu"), per_shard=4)
    assert Latents(root=out).spec.num_classes == 5


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
