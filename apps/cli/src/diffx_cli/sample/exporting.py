"""All samples in one file, written piece by piece: together they need not fit into memory."""

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0
from numpy.typing import NDArray
from torch import Tensor

from diffx_core.engine.tensors import serialized


def write_numbers(file: Path, name: str, shape: Sequence[int], parts: Iterable[Tensor]) -> None:
    """Write float32 numbers as the only tensor of a .safetensors file.

    Args:
        file: where.
        name: of the tensor.
        shape: of the whole.
        parts: its rows, in order.
    """
    head = next(iter(serialized({name: torch.empty(*shape, device="meta")})))
    with file.open("wb") as to:
        to.write(head)
        for part in parts:
            to.write(part.float().contiguous().numpy().tobytes())


def write_npz(
    file: Path,
    shape: Sequence[int],
    images: Iterable[NDArray[np.uint8]],
    labels: Sequence[int] | None,
) -> None:
    """Write images as ADM's evaluators read them: arr_0 of bytes (N, H, W, C), arr_1 of labels.

    Args:
        file: where.
        shape: (N, H, W, C).
        images: (H, W, C) each.
        labels: of each, if they have any.

    References:
        Dhariwal & Nichol, Diffusion Models Beat GANs on Image Synthesis, 2021, arXiv:2105.05233.
    """
    kind = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
    with zipfile.ZipFile(file, "w") as archive:
        with _member(archive, "arr_0.npy") as to:
            write_array_header_1_0(to, kind)
            for image in images:
                to.write(image.tobytes())
        if labels is not None:
            told = np.asarray(labels, dtype=np.int64)
            with _member(archive, "arr_1.npy") as to:
                write_array_header_1_0(to, header_data_from_array_1_0(told))
                to.write(told.tobytes())


def _member(archive: zipfile.ZipFile, name: str) -> IO[Any]:
    """A file in an archive, without the time at which it was written."""
    return archive.open(zipfile.ZipInfo(name), "w", force_zip64=True)
