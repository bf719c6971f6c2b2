"""Samples as the page shows them: a picture of all of them, or points in the plane."""

import io
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from diffx_cli.picture.film import is_picture
from diffx_cli.picture.pictures import grid, picture, to_bytes, write_scatter
from diffx_core.dataset import DataSpec

ENDS = 3.0
"""How far the plane reaches that is shown, in root mean squares of the data."""
COLOURS = 3


def kind(spec: DataSpec) -> str:
    """How an example is shown."""
    return "image" if spec.is_image else "point"


def caveat(spec: DataSpec) -> str:
    """What is not shown of an example; nothing if all of it is."""
    if spec.is_image and not is_picture(spec):
        shown = COLOURS if spec.shape[0] > COLOURS else 1
        return f"{shown} of {spec.shape[0]} channels, as colours: not the image that is meant"
    if not spec.is_image and spec.shape != (2,):
        numbers = torch.Size(spec.shape).numel()
        return "each at a height of its own" if numbers == 1 else f"2 of {numbers} numbers"
    return ""


def look(x: Tensor, spec: DataSpec, columns: int) -> dict[str, Any]:
    """Examples x (n, *shape) for the page, as plain JSON types."""
    if spec.is_image:
        return {"image": data_url(_sheet(x, spec, columns))}
    return {"points": _points(x).mul(1e4).round().div(1e4).tolist()}


def final(x: Tensor, spec: DataSpec, columns: int, labels: Sequence[int] | None) -> str:
    """The picture of all samples that `diffx sample` writes, as a data URL."""
    if spec.is_image:
        return data_url(_sheet(x, spec, columns))
    stream = io.BytesIO()
    write_scatter(stream, _points(x), labels)
    return data_url(stream.getvalue())


def data_url(image: Image.Image | bytes) -> str:
    """A PNG in a URL."""
    if isinstance(image, Image.Image):
        stream = io.BytesIO()
        image.save(stream, "PNG")
        image = stream.getvalue()
    return "data:image/png;base64," + b64encode(image).decode("ascii")


def _sheet(x: Tensor, spec: DataSpec, columns: int) -> Image.Image:
    if is_picture(spec):
        return picture(grid(to_bytes(x, spec), columns))
    shown = x[:, : COLOURS if x.shape[1] > COLOURS else 1]
    low, high = shown.amin((0, 2, 3), keepdim=True), shown.amax((0, 2, 3), keepdim=True)
    levels = (shown - low) / (high - low).clamp(min=1e-12)
    return picture(grid(levels.mul(255).round().to(torch.uint8), columns))


def _points(x: Tensor) -> Tensor:
    """Two numbers of each example (n, 2)."""
    flat = x.flatten(1)
    if flat.shape[1] > 1:
        return flat[:, :2]
    return torch.cat([flat, torch.linspace(-1, 1, len(flat))[:, None]], 1)
