"""The network as a folder that diffusers loads, where it has a network that is the same."""

import json
from pathlib import Path
from typing import Any

from diffx_cli.export.subject import Subject
from diffx_core.engine.durable import write
from diffx_core.engine.tensors import serialized
from diffx_core.errors import ConfigError
from diffx_core.foreign import ExportsWeights

WEIGHTS = "diffusion_pytorch_model.safetensors"
"""As diffusers calls it."""


def export(subject: Subject, folder: Path) -> dict[str, Any]:
    """Write the weights and their config.json.

    Raises:
        ConfigError: diffusers has no such network.
    """
    network: object = subject.network
    if not isinstance(network, ExportsWeights):
        raise ConfigError(f"--format diffusers: {subject.label} has no twin in diffusers")
    options = subject.run.components["backbone"].options
    try:
        made = network.export_weights(subject.spec, options, subject.weights())
    except ConfigError as error:
        lines = (f"--format diffusers: {subject.label}: {one}" for one in error.problems)
        raise ConfigError(*lines) from error
    text = json.dumps(dict(made.config), indent=2)
    (folder / "config.json").write_text(f"{text}\n", encoding="utf-8")
    done = write(folder / WEIGHTS, serialized(made.weights))
    return {
        "files": {WEIGHTS: done.sha256},
        "class": made.name,
        "tensors": len(made.weights),
        "notes": list(made.notes),
    }
