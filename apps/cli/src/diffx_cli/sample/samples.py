"""What a folder of samples holds in the end."""

import json
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from diffx_cli.picture.film import MOVING, STILL, is_picture
from diffx_cli.picture.pictures import MOST_SHOWN, grid, picture, write_scatter
from diffx_cli.sample.batches import Batches
from diffx_cli.sample.drawn import NUMBERS, Drawn
from diffx_cli.sample.exporting import write_npz, write_numbers
from diffx_core.dataset import DataSpec

GRID, FACTS, TENSOR, ARRAYS = "grid.png", "sample.json", "samples.safetensors", "samples.npz"
WRITTEN = (GRID, "images", FACTS, TENSOR, ARRAYS, MOVING, STILL, "progress.gif")
"""What a folder of samples holds that diffx wrote, now or earlier."""


def shown(spec: DataSpec) -> str:
    """The file to look at."""
    return GRID if is_picture(spec) or spec.shape == (2,) else TENSOR


def finish(drawn: Drawn, batches: Batches, facts: dict[str, object]) -> None:
    """Make of all batches what is for the user.

    Args:
        drawn: all batches.
        batches: what they are.
        facts: what reproduces them, as plain JSON types.
    """
    spec, n = batches.spec, batches.n
    text = json.dumps(facts, indent=2) + "\n"
    (drawn.final / FACTS).write_text(text, encoding="utf-8")
    if not is_picture(spec) or "safetensors" in batches.model.request.options.export:
        write_numbers(drawn.final / TENSOR, NUMBERS, (n, *spec.shape), drawn.samples())
    if is_picture(spec):
        first = [torch.from_numpy(one) for one in _images(drawn, batches, min(n, MOST_SHOWN))]
        sheet = grid(torch.stack(first).permute(0, 3, 1, 2), batches.columns)
        picture(sheet).save(drawn.final / GRID)
    elif spec.shape == (2,):
        points = torch.cat(list(drawn.samples()))
        write_scatter(drawn.final / GRID, points, batches.told.labels)
    if "npz" in batches.model.request.options.export:
        channels, height, width = spec.shape
        shape = (n, height, width, channels)
        write_npz(drawn.final / ARRAYS, shape, _images(drawn, batches, n), batches.told.labels)


def _images(drawn: Drawn, batches: Batches, count: int) -> Iterator[NDArray[np.uint8]]:
    """The first images as they were written, (H, W, C)."""
    channels, height, width = batches.spec.shape
    for i in range(count):
        with Image.open(drawn.final / "images" / batches.file_of(i)) as image:
            yield np.array(image, dtype=np.uint8).reshape(height, width, channels)
