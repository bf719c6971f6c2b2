"""A classifier in the cache: trained once for a dataset, and read from then on."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffx_core import ConfigError, Dataset, cache_folder
from diffx_metrics.features.classifier import Classifier, Trained, new_network, train

VERSION = 1
"""Of the recipe; it changes when another one is trained."""


def classifier_for(dataset: Dataset, identity: str, device: torch.device) -> Classifier:
    """The classifier of a dataset.

    Args:
        dataset: of images with labels.
        identity: what tells it from every other dataset: its name, its options, its files.
        device: where it computes.

    Raises:
        ConfigError: the data have no classes, or the cache cannot be written to.
    """
    spec = dataset.spec
    if spec.num_classes is None or not spec.is_image:
        what = "are no images" if spec.num_classes is not None else "have no classes"
        raise ConfigError(f"a classifier needs images with classes, and the data {what}")
    facts = f"{VERSION} {identity} {spec.shape} {spec.num_classes} {len(dataset)}"
    key = hashlib.sha256(facts.encode()).hexdigest()[:16]
    file = cache_folder() / "classifiers" / f"{key}.safetensors"
    found = _read(file, dataset)
    if found is None:
        found = train(dataset, device)
        _write(file, found)
    found.network.to(device)
    return Classifier(
        network=found.network,
        digest=digest_of(found.network.state_dict()),
        accuracy=found.accuracy,
        held_back=found.held_back,
    )


def digest_of(weights: dict[str, Tensor]) -> str:
    """SHA-256 of weights, by name."""
    digest = hashlib.sha256()
    for name, one in sorted(weights.items()):
        digest.update(name.encode() + one.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read(file: Path, dataset: Dataset) -> Trained | None:
    """What the cache has; None if that is nothing, or damaged."""
    try:
        with safe_open(file, framework="pt") as opened:
            facts = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no dict
        if digest_of(weights) != facts["sha256"]:
            return None
        network = new_network(dataset.spec).to_empty(device="cpu")
        network.load_state_dict(weights)
        return Trained(network.eval(), float(facts["accuracy"]), int(facts["held_back"]))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None


def _write(file: Path, trained: Trained) -> None:
    weights = {name: one.cpu() for name, one in trained.network.state_dict().items()}
    facts = {
        "sha256": digest_of(weights),
        "accuracy": repr(trained.accuracy),
        "held_back": str(trained.held_back),
    }
    partial = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(weights, partial, metadata=facts)
        partial.replace(file)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ConfigError(
            f"{file.parent}: a classifier cannot be kept there ({error}); set DIFFX_CACHE to"
            " another folder"
        ) from error
