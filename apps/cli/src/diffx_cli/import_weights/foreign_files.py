"""Files of weights that others have written: read without running anything in them.

A folder is one of diffusers: config.json with safetensors beside it, or a pipeline with such a
folder in it. Of a file `.pt`, tensors are read and nothing else, and of several networks in it the
averaged one.
"""

import argparse
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from diffx_core.errors import CheckpointError

NETWORKS = ("unet", "transformer")
"""Folders of a pipeline of diffusers that hold its network."""
PROCESS = "scheduler_config.json"
INNER = ("ema", "ema_state_dict", "model_ema", "model", "state_dict", "model_state_dict")
"""Where a file keeps a network besides other things, the best first."""
WRAPPED = "module."
"""What DistributedDataParallel puts before every name."""


@frozen(eq=False)
class Files:
    """What is in a file, or in a folder of diffusers.

    Args:
        tensors: of a network, by name.
        config: its config.json; empty if there is none.
        process: the scheduler_config.json of its pipeline; empty if there is none.
        inside: which of several networks in a file it is; None if there is but one.
    """

    tensors: dict[str, Tensor]
    config: dict[str, Any]
    process: dict[str, Any]
    inside: str | None


def read_weights(path: Path) -> Files:
    """Read a file or a folder.

    Raises:
        CheckpointError: there is none, it cannot be read, or two files hold tensors of one name.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such file or folder")
    folder = path if path.is_dir() else path.parent
    files = [path]
    if path.is_dir():
        inner = [folder / name for name in NETWORKS if (folder / name / "config.json").is_file()]
        folder = inner[0] if inner else folder
        files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
        if not files:
            raise CheckpointError(f"{folder}: holds no weights (no file *.safetensors or *.bin)")
        plain = [one for one in files if not {"fp16", "bf16"} & {*one.name.split(".")}]
        files = plain or files
    tensors: dict[str, Tensor] = {}
    homes: dict[str, Path] = {}
    inside = None
    for file in files:
        found, inside = _tensors(file)
        twice = next((name for name in found if name in homes), None)
        if twice is not None:
            raise CheckpointError(
                f"{folder}: {homes[twice].name} and {file.name} both hold {twice}: give the folder"
                " of one network, or the one file of it"
            )
        homes |= dict.fromkeys(found, file)
        tensors |= found
    if tensors and all(name.startswith(WRAPPED) for name in tensors):
        tensors = {name.removeprefix(WRAPPED): one for name, one in tensors.items()}
    places = (folder / PROCESS, folder.parent / "scheduler" / PROCESS)
    process = next((one for place in places if (one := _config(place))), {})
    return Files(tensors, _config(folder / "config.json"), process, inside)


def _tensors(file: Path) -> tuple[dict[str, Tensor], str | None]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file), None
        # training scripts keep their arguments beside the weights
        allowed = torch.serialization.safe_globals([argparse.Namespace])
        with allowed, warnings.catch_warnings(action="ignore"):
            held = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from error
    except Exception as error:  # noqa: BLE001 - unpickling raises what it likes
        # torch's own message advises to run whatever the file holds
        raise CheckpointError(
            f"{file}: cannot be read as weights and nothing else ({type(error).__name__}): it is"
            " damaged, or holds objects that would have to be run; save the state_dict alone, best"
            " as safetensors"
        ) from None
    inside = next((key for key in INNER if _is_mapping(held) and _is_mapping(held.get(key))), None)
    found = held if inside is None else held[inside]
    tensors = {
        str(name): one
        for name, one in (found.items() if _is_mapping(found) else ())
        if isinstance(one, Tensor)
    }
    if not tensors:
        raise CheckpointError(f"{file}: holds no tensors by name")
    return tensors, inside


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{file}: is no table of options")
    return config
