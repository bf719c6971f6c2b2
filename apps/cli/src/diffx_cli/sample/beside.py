"""The images that samples are told, read from files."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffx_core.dataset import DataSpec
from diffx_core.errors import ConfigError, DataError
from diffx_datasets.decoding import UnreadableError, decoded
from diffx_datasets.image_folder import images_under
from diffx_datasets.packed import floats
from diffx_datasets.packing import Pixels


def beside(path: Path | None, rows: range, spec: DataSpec) -> Tensor | None:
    """The images (n, C, H, W) of samples, which take them in turn; None without a path.

    Args:
        path: an image, or a folder with images.
        rows: which samples.
        spec: the facts about the data.

    Raises:
        ConfigError: the model was not trained on pairs of images, or is not given any.
        DataError: there are no images, or one cannot be decoded.
    """
    if path is None:
        if spec.paired:
            raise ConfigError("--beside: the model reads images beside its samples: name them")
        return None
    channels, height, width = spec.shape if spec.is_image else (0, 0, 0)
    if not spec.paired or channels not in (1, 3) or height != width:
        raise ConfigError("--beside: the model was not trained on pairs of square images")
    paths = _paths(path)
    images = [_decoded(paths[k % len(paths)], height, grey=channels == 1) for k in rows]
    return floats(torch.from_numpy(np.stack(images)))


def sha256_of(path: Path | None, n: int) -> str | None:
    """The SHA-256 of the images of the first n samples; None without a path."""
    if path is None:
        return None
    digest = hashlib.sha256()
    for one in _paths(path)[:n]:
        digest.update(hashlib.sha256(one.read_bytes()).digest())
    return digest.hexdigest()


def _paths(path: Path) -> list[Path]:
    paths = [path] if path.is_file() else list(images_under(path))
    if not paths:
        raise DataError(f"--beside {path}: there are no images")
    return paths


def _decoded(path: Path, size: int, *, grey: bool) -> Pixels:
    try:
        return decoded(path, size, grey=grey)
    except UnreadableError as error:
        raise DataError(f"--beside {path}: {error}") from error
