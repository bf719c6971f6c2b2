"""One dataset of each kind, small enough to look at whole."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffx_core import Batch, Dataset
from diffx_datasets.celeba import CelebA
from diffx_datasets.cifar10 import CIFAR10
from diffx_datasets.digits import Digits
from diffx_datasets.image_folder import ImageFolder
from diffx_datasets.latents import Latents
from diffx_datasets.mnist import MNIST, FashionMNIST
from diffx_datasets.npz import Npz
from diffx_datasets.patches import Patches
from diffx_datasets.stl10 import STL10
from diffx_datasets.toy2d import Toy2D
from diffx_datasets.webdataset import WebDataset
from published_formats import (
    cifar_files,
    stl_files,
    write_celeba,
    write_folder,
    write_mnist,
    write_shard,
)

SAVED = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, SAVED, ignore_errors=True)


def made_folder() -> Path:
    """Noise of two classes, in sizes that have to be brought to one."""
    random = np.random.default_rng(0)
    for k in range(24):
        path = SAVED / "images" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (9 + k, 20, 3), dtype=np.uint8)).save(path)
    return SAVED / "images"


def made_npz() -> Path:
    """Noise without labels."""
    path = SAVED / "images.npz"
    np.savez(path, images=np.random.default_rng(1).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8))
    return path


def made_latents() -> Path:
    """Noise of three channels that differ, in two shards."""
    folder = SAVED / "latents"
    folder.mkdir()
    for k in range(2):
        z = torch.randn(9, 3, 4, 4, generator=torch.Generator().manual_seed(k)) * 3 + 1
        shard = {"latents": z, "label": torch.arange(9) % 4, "mirrored": z.flip(-1)}
        save_file(shard, folder / f"latents-{k:05d}.safetensors")
    return folder


def made_published() -> Path:
    """Every published dataset, small, in its own folder."""
    for name in ("mnist", "fashion_mnist"):
        write_mnist(SAVED / name, 24)
    write_folder(SAVED / "cifar10", cifar_files()[0])
    write_folder(SAVED / "stl10", stl_files(20)[0])
    write_celeba(SAVED / "celeba", 30)
    write_shard(SAVED / "shards" / "0.tar", range(12))
    write_shard(SAVED / "shards" / "1.tar", range(12))
    return SAVED


PUBLISHED = made_published()
DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        "digits": Digits(),
        "digits-8": Digits(size=8),
        "image_folder": ImageFolder(root=made_folder(), size=8, flip=True),
        "streamed": ImageFolder(root=made_folder(), size=8, flip=True, stream=True),
        "npz": Npz(root=made_npz()),
        "mnist": MNIST(root=PUBLISHED / "mnist"),
        "fashion_mnist": FashionMNIST(root=PUBLISHED / "fashion_mnist", size=28),
        "cifar10": CIFAR10(root=PUBLISHED / "cifar10"),
        "stl10": STL10(root=PUBLISHED / "stl10", size=16),
        "celeba": CelebA(root=PUBLISHED / "celeba", size=16, attribute="Smiling"),
        "webdataset": WebDataset(root=PUBLISHED / "shards", size=8, caption="txt"),
        "latents": Latents(root=made_latents(), flip=True),
        "patches": Patches(root=made_folder(), size=8, per_image=3),
        "moons": Toy2D(kind="moons", points=2000),
        "swiss_roll": Toy2D(kind="swiss_roll", points=2000),
        "checkerboard": Toy2D(kind="checkerboard", points=2000),
        "rings": Toy2D(kind="rings", points=2000),
        "gaussians": Toy2D(kind="gaussians", points=2000),
    }
)


@pytest.fixture(params=DATASETS)
def dataset(request) -> Dataset:
    return DATASETS[request.param]


@pytest.fixture
def everything(dataset) -> Batch:
    return dataset.batch(torch.arange(len(dataset)))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of one's own for each test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DIFFX_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def vae(tmp_path_factory):
    """The folder of a small autoencoder."""
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers")
    folder = tmp_path_factory.mktemp("vae")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = diffusers.AutoencoderKL(
            block_out_channels=(8, 8),
            norm_num_groups=4,
            latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        )
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def images(tmp_path):
    """A folder of ten images in two classes."""
    random = np.random.default_rng(0)
    for k in range(10):
        path = tmp_path / "images" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return tmp_path / "images"
