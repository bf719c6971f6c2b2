"""Tokenizers and networks of the `transformers` library from local folders, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from diffx_core import ConfigError

READING = (
    *(OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError),
    SafetensorError,
)
"""What reading damaged files is known to raise."""


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library has no common type of them
    """The tokenizer in a folder, which cuts and pads on the right."""
    from transformers import AutoTokenizer

    with loading(folder, "tokenizer"):
        found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    found.padding_side = found.truncation_side = "right"
    return found


def load_network(folder: Path, kind: str, dtype: torch.dtype) -> nn.Module:
    """The network in a folder, with every one of its weights.

    Args:
        folder: where config.json and the weights are.
        kind: the name of its class.
        dtype: of the weights.

    Raises:
        ConfigError: weights are missing, which would be random, or have other shapes.
    """
    with loading(folder, "network"):
        network, found = getattr(import_module("transformers"), kind).from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    if lacking := [str(one) for one in sorted(found["missing_keys"])]:
        raise ConfigError(f"{folder}: the weights lack {lacking[0]} ({len(lacking)} in all)")
    if other := sorted(found["mismatched_keys"]):
        name, there, wanted = other[0]
        raise ConfigError(f"{folder}: {name} is {tuple(there)}, and must be {tuple(wanted)}")
    assert isinstance(network, nn.Module)
    return network.eval().requires_grad_(requires_grad=False)


@contextmanager
def loading(folder: Path, what: str) -> Iterator[None]:
    """No progress bars and remarks, no change of global random numbers, and errors of one line."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except READING as error:
        reason, *_ = str(error).splitlines() or [type(error).__name__]
        raise ConfigError(f"{folder}: the {what} cannot be read: {reason}") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
