"""Grids and pixels."""

import subprocess
import sys

import pytest
import torch
from PIL import Image

from diffx_cli.picture.pictures import COMFORTABLE, GAP, grid, to_bytes, write_samples
from diffx_core.dataset import DataSpec


def test_values_become_bytes_by_the_legal_range():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 9.0]).view(1, 1, 1, 5)
    spec = DataSpec(shape=(1, 1, 5), value_range=(-1.0, 1.0))
    assert to_bytes(x, spec).flatten().tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (7, 3), (6, 3), (2, 5)], ids=str)
def test_every_image_is_in_its_cell(count, columns):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    sheet = grid(images, columns)
    cell = COMFORTABLE + GAP
    shown = [
        int(sheet[0, GAP + i // columns * cell + 24, GAP + i % columns * cell + 24])
        for i in range(count)
    ]
    assert shown == list(range(count))
    assert sheet.shape[2] == GAP + min(columns, count) * cell


def test_large_images_are_not_enlarged():
    assert grid(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), 1).shape == (3, 68, 68)


def test_images_need_no_plots():
    code = "import sys, diffx_cli.sample.sampling; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_grid_ends_where_nobody_looks_any_more_and_the_files_go_on(tmp_path):
    spec = DataSpec((1, 1, 1), value_range=(0.0, 1.0))
    file = write_samples(tmp_path, torch.zeros(401, 1, 1, 1), spec, None, 20)
    side = 20 * (COMFORTABLE + GAP) + GAP
    with Image.open(file) as shown:
        assert shown.size == (side, side)
    assert len(list((tmp_path / "images").iterdir())) == 401
