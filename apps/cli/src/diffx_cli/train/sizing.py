"""`--preset`: how large the network and its batches are, by the memory of the device.

A preset decides on what nobody has said: flags and the configuration file win. A recipe keeps its
batch and its learning rate; what it says about the network, the preset takes the place of.
"""

from collections.abc import Mapping
from typing import Any

import torch
from attrs import evolve

from diffx_cli.line.console import note
from diffx_cli.line.options import Learning
from diffx_cli.line.request import Chosen, Request
from diffx_cli.processes.devices import device_named, memory_of
from diffx_cli.train.assembly import dataset_of
from diffx_core.config import REQUIRED, options_of
from diffx_core.dataset import Dataset
from diffx_core.engine.footprint import footprint
from diffx_core.errors import ComponentError, ConfigError
from diffx_core.options import ComesInSizes, Sized, SizeName
from diffx_core.plugins.isolation import IsolatedError, isolated

GIB = 2**30
LARGER: tuple[tuple[int, SizeName], ...] = ((16, "large"), (8, "medium"), (4, "small"))
"""From how many GiB on a device has room for a size; one with less is tiny."""

BATCHES: dict[SizeName, int] = {"tiny": 128, "small": 128, "medium": 256, "large": 256}
"""Examples in a step, for images."""
POINTS = 1024
"""The same for vectors, which are small."""

USED = 0.7
"""Share of the memory that a forward pass may fill; the rest is for the way back, workspaces and
what is lost between blocks of memory."""


def sized(request: Request) -> Request:
    """The request with what its preset decides on, which is said on stderr.

    Raises:
        ConfigError: the network does not come in sizes, or has no room.
        ComponentError: it breaks when it is asked.
    """
    options: Learning = request.options
    assert options.preset is not None
    device, backbone = device_named(options.device), request.components["backbone"]
    memory = memory_of(device)
    size = size_for(memory) if options.preset == "auto" else options.preset
    dataset = dataset_of(request.components["dataset"], request.components.get("text"))
    found = _asked(backbone, size, dataset)
    said, unsaid = request.told, request.told | request.by_recipe
    network = {
        name: value for name, value in found.options.items() if f"backbone.{name}" not in said
    }
    backbone = evolve(backbone, options={**_without_recipe(request, backbone), **network})
    batch = BATCHES[size] if dataset.spec.is_image else POINTS
    training = {"batch_size": min(batch, len(dataset)), "lr": found.lr}
    training = {name: one for name, one in training.items() if f"train.{name}" not in unsaid}
    train = evolve(request.sections["train"], **training)
    if memory is not None and "train.micro_batch" not in unsaid:
        most = _room(backbone, dataset, memory)
        if most < train.batch_size:
            training["micro_batch"] = most
            train = evolve(train, micro_batch=most)
    _say(size, device, memory, network, training)
    components = {**request.components, "backbone": backbone}
    return evolve(request, components=components, sections={**request.sections, "train": train})


def size_for(memory: int | None) -> SizeName:
    """The largest size that a device has room for; a processor, which has no memory, is slow."""
    gib = 0 if memory is None else memory / GIB
    return next((size for least, size in LARGER if gib >= least), "tiny")


def _asked(backbone: Chosen, size: SizeName, dataset: Dataset) -> Sized:
    target: Any = backbone.target
    if not isinstance(target, ComesInSizes):
        raise ConfigError(
            f"--preset: {backbone.label} does not come in sizes; leave the preset out and say its"
            " options, or take another backbone"
        )
    try:
        with isolated(backbone.label):
            found = target.sized(size, dataset.spec)
    except IsolatedError as failure:
        raise ComponentError("backbone", str(failure)) from failure
    if unknown := sorted(set(found.options) - set(backbone.options)):
        reason = f"{backbone.label} of size {size} has options that it has not: "
        raise ComponentError("backbone", reason + ", ".join(unknown))
    return found


def _without_recipe(request: Request, backbone: Chosen) -> dict[str, Any]:
    """The options of the network, as if the recipe had said nothing but what must be said."""
    defaults = {option.name: option.default for option in options_of(backbone.target)}
    return {
        name: value
        if f"backbone.{name}" in request.told or defaults[name] is REQUIRED
        else defaults[name]
        for name, value in backbone.options.items()
    }


def _room(backbone: Chosen, dataset: Dataset, memory: int) -> int:
    """How many examples fit at once: a power of two."""
    cond = dataset.batch(torch.arange(1)).cond
    need = footprint(lambda: backbone.build(dataset.spec), dataset.spec.shape, cond)
    most = need.most(USED * memory)
    if most < 1:
        raise ConfigError(
            f"--preset: {backbone.label} needs {(need.state + need.example) / GIB:.1f} GiB for a"
            f" step with one example, more than {USED:.0%} of the {memory / GIB:.1f} GiB that the"
            " device has: take a smaller preset, or --backbone.checkpointing true if it has that"
        )
    return 1 << (most.bit_length() - 1)


def _say(
    size: SizeName,
    device: torch.device,
    memory: int | None,
    network: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    keys = {f"backbone.{name}": one for name, one in network.items()}
    keys |= {f"train.{name}": one for name, one in training.items()}
    room = "" if memory is None else f" with {memory / GIB:.1f} GiB"
    chosen = ", ".join(f"{key} {_shown(one)}" for key, one in keys.items())
    note(f"preset {size} for {device}{room}: {chosen or 'everything has been said already'}")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
