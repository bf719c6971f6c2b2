"""One dataset of each kind, small enough to look at whole."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest
import torch

from diffx_core import Batch, Dataset
from diffx_datasets.digits import Digits
from diffx_datasets.toy2d import Toy2D

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        "digits": Digits(),
        "digits-8": Digits(size=8),
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
