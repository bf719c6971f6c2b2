"""Tensors as bytes of a safetensors file, without a second copy of them all.

A file is the length of its header (8 bytes, little-endian), the header, which is JSON, and the
tensors one after the other. Each is written whole: views, tied and non-contiguous ones too.

References:
    The safetensors format, https://github.com/huggingface/safetensors#format.
"""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""The names that safetensors gives to types."""

RESERVED = "__metadata__"


def serialized(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """The parts of a safetensors file.

    Raises:
        TypeError: a tensor that such a file cannot hold.
    """
    assert sys.byteorder == "little", "the tensors are written as they are in memory"
    for name, tensor in tensors.items():
        if tensor.dtype not in TYPES or tensor.layout != torch.strided or name == RESERVED:
            raise TypeError(f"{name}: a {tensor.layout} tensor of {tensor.dtype} cannot be saved")
    # As safetensors does it: wide types first, so that every tensor is aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, end = dict[str, Any](), 0
    for name in names:
        start, end = end, end + size(tensors[name])
        kind, shape = TYPES[tensors[name].dtype], list(tensors[name].shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in names:
        yield _bytes(tensors[name])


def cast(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The same with every floating-point tensor in another type; counters stay what they are."""
    return {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def size(tensor: Tensor) -> int:
    """The bytes of a tensor in a file."""
    return math.prod(tensor.shape) * tensor.element_size()


def total_size(tensors: Iterable[Tensor]) -> int:
    """The bytes of all tensors in files."""
    return sum(map(size, tensors))


def _bytes(tensor: Tensor) -> memoryview:
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data
