"""Several images as one."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

GAP = 2
"""White pixels around each image."""


def sheet(images: Tensor) -> NDArray[np.uint8]:
    """Images (B, C, H, W) of bytes as one (H', W', 3): about as many rows as columns."""
    count, _, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    colour: NDArray[Any] = images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    page = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 255, np.uint8)
    for place, image in enumerate(colour):
        top = GAP + place // columns * (height + GAP)
        left = GAP + place % columns * (width + GAP)
        page[top : top + height, left : left + width] = image
    return page
