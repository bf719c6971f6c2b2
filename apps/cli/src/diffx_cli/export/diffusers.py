"""The network as a folder that diffusers loads, where it has a network that is the same."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffx_cli.export.process import scheduler_config
from diffx_cli.export.subject import Subject
from diffx_core.engine.durable import write
from diffx_core.engine.tensors import serialized
from diffx_core.errors import ConfigError
from diffx_core.foreign import ExportedModel, ExportsWeights

WEIGHTS = "diffusion_pytorch_model.safetensors"
PROCESS = "scheduler_config.json"
"""As diffusers calls them."""


def export(subject: Subject, folder: Path) -> dict[str, Any]:
    """Write the weights and their config.json, and that of the process if it has a twin, too.

    Raises:
        ConfigError: diffusers has no such network.
    """
    made = twin(subject)
    process, notes = scheduler_config(subject.denoiser), list(made.notes)
    _write(folder / "config.json", made.config)
    if isinstance(process, str):
        notes.append(f"no {PROCESS}: {process}")
    else:
        _write(folder / PROCESS, process)
    done = write(folder / WEIGHTS, serialized(made.weights))
    return {
        "files": {WEIGHTS: done.sha256},
        "class": made.name,
        "tensors": len(made.weights),
        "notes": notes,
    }


def twin(subject: Subject) -> ExportedModel:
    """The network as diffusers has it.

    Raises:
        ConfigError: diffusers has no such network.
    """
    network: object = subject.network
    if not isinstance(network, ExportsWeights):
        raise ConfigError(f"--format diffusers: {subject.label} has no twin in diffusers")
    options = subject.run.components["backbone"].options
    try:
        return network.export_weights(subject.spec, options, subject.weights())
    except ConfigError as error:
        lines = (f"--format diffusers: {subject.label}: {one}" for one in error.problems)
        raise ConfigError(*lines) from error


def _write(file: Path, facts: Mapping[str, Any]) -> None:
    text = json.dumps(dict(facts), indent=2)
    file.write_text(f"{text}\n", encoding="utf-8")
