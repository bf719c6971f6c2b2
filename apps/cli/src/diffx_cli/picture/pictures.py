"""Samples as pictures: one grid to look at, and every sample as a file.

Shapes: images (N, C, H, W) with C = 1 or 3, points (N, 2).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from diffx_core.dataset import DataSpec

GAP = 2
"""Pixels between the images of a grid."""

COMFORTABLE = 64
"""Pixels that an image should at least have in a grid, for a person to see it."""

MOST_SHOWN = 400
"""Images in a grid of samples; there may be thousands, which are files each."""


def write_samples(
    folder: Path, x: Tensor, spec: DataSpec, labels: Sequence[int] | None, columns: int
) -> Path:
    """Write the samples in the form that suits them.

    Args:
        folder: where.
        x: (N, *shape) samples.
        spec: what they are.
        labels: of each sample, if they have any.
        columns: of the grid.

    Returns:
        the file to look at.
    """
    x = x.detach().cpu().float()
    if spec.is_image and spec.shape[0] in (1, 3):
        images = to_bytes(x, spec)
        write_images(folder / "images", images, (f"{i:05d}.png" for i in range(len(images))))
        picture(grid(images[:MOST_SHOWN], columns)).save(folder / "grid.png")
        return folder / "grid.png"
    file = folder / "samples.safetensors"
    save_file({"samples": x.contiguous()}, file)
    if spec.shape == (2,):
        write_scatter(folder / "grid.png", x, labels)
        return folder / "grid.png"
    return file


def to_bytes(x: Tensor, spec: DataSpec) -> Tensor:
    """Images (N, C, H, W) as uint8; values beyond the legal range are clipped to it."""
    low, high = spec.value_range or (float(x.min()), float(x.max()))
    return ((x - low) / max(high - low, 1e-12)).clamp(0, 1).mul(255).round().to(torch.uint8)


def grid(images: Tensor, columns: int) -> Tensor:
    """Images (N, C, H, W) as one sheet (C, H', W'), enlarged if they are small."""
    count, channels, height, width = images.shape
    factor = max(1, COMFORTABLE // max(height, width))
    images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    columns = min(columns, count)
    rows = -(-count // columns)
    cell_height, cell_width = height * factor + GAP, width * factor + GAP
    sheet = images.new_full((channels, rows * cell_height + GAP, columns * cell_width + GAP), 255)
    for i, image in enumerate(images):
        top, left = GAP + i // columns * cell_height, GAP + i % columns * cell_width
        sheet[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return sheet


def picture(image: Tensor) -> Image.Image:
    """An image (C, H, W) of bytes, with one channel or three."""
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def write_images(folder: Path, images: Tensor, names: Iterable[str]) -> None:
    """Write images (N, C, H, W) of bytes as files of these names."""
    folder.mkdir(exist_ok=True)
    for image, name in zip(images, names, strict=True):
        picture(image).save(folder / name)


def write_scatter(file: Path | IO[bytes], points: Tensor, labels: Sequence[int] | None) -> None:
    """Draw points (N, 2), in the colours of their labels if they have any."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="tight")
    axes = figure.add_subplot(aspect="equal")
    colour = None if labels is None else list(labels)
    horizontal, vertical = points.T.tolist()
    axes.scatter(horizontal, vertical, s=4, c=colour, cmap=None if labels is None else "tab10")
    figure.savefig(file, dpi=100)
