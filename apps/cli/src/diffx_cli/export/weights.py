"""The averaged weights as one file, in any precision."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffx_cli.export.subject import Subject
from diffx_core.engine.durable import write
from diffx_core.engine.tensors import cast, serialized
from diffx_core.errors import ConfigError

WEIGHTS = "model.safetensors"


def export(subject: Subject, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """Write the weights.

    Raises:
        ConfigError: the precision cannot hold a weight.
    """
    weights = held(subject, dtype)
    done = write(folder / WEIGHTS, serialized(weights))
    return {"files": {WEIGHTS: done.sha256}, "tensors": len(weights)}


def held(subject: Subject, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights in a precision.

    Raises:
        ConfigError: it cannot hold one.
    """
    weights = cast(subject.weights(), dtype)
    for name, one in weights.items():
        if one.is_floating_point() and not one.isfinite().all():
            raise ConfigError(f"--dtype {str(dtype)[6:]}: cannot hold {name}: take bfloat16")
    return weights
