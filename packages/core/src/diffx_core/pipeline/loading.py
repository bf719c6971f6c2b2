"""From the folder of a run to its model."""

from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import nn

from diffx_core.config.run import Run
from diffx_core.contract import require
from diffx_core.dataset import DataSpec
from diffx_core.denoiser import Denoiser, NetworkDenoiser
from diffx_core.engine.checkpoint import Checkpoint, load_checkpoint
from diffx_core.errors import CheckpointError, ConfigError
from diffx_core.guidance.wrapper import parts
from diffx_core.options import ObjectiveOptions
from diffx_core.plugins import Registry
from diffx_core.prediction import prediction_named
from diffx_core.sampler import Sampler
from diffx_core.scheduler import Scheduler
from diffx_core.swap import SwappedProcess, require_swap


@frozen(eq=False)
class Saved:
    """A run or a checkpoint as it was saved; nothing of it has been built.

    Args:
        checkpoint: its weights.
        run: how it was made.
        spec: the facts about its data.
    """

    checkpoint: Checkpoint
    run: Run
    spec: DataSpec


def read(path: Path) -> Saved:
    """Read a run folder or the folder of a checkpoint.

    Raises:
        CheckpointError: there is none, or it is incomplete.
    """
    checkpoint = load_checkpoint(path)
    run = Run.from_json(checkpoint.record)
    if run.spec is None:
        raise CheckpointError(f"{checkpoint.path}: the record has no facts about the data")
    return Saved(checkpoint, run, DataSpec(**run.spec))


def build(
    saved: Saved,
    registry: Registry,
    device: torch.device,
    *,
    sampler: Sampler[Any] | None = None,
    scheduler: Scheduler | None = None,
) -> NetworkDenoiser:
    """The model, with the averaged weights.

    Args:
        saved: what to build.
        registry: where to find the components.
        device: where to put the model.
        sampler: refused before the network is built if it cannot work.
        scheduler: a process to sample under instead; refused at once, too.
    """
    trained = saved.run.build("scheduler", registry)
    if scheduler is not None:
        require_swap(trained, scheduler, saved.spec.sigma_data)
    if sampler is not None:
        require(sampler, trained if scheduler is None else scheduler)
    backbone = load_weights(saved.run.build("backbone", registry, saved.spec), saved.checkpoint)
    objective = saved.run.section("objective", ObjectiveOptions)
    prediction = prediction_named(objective.prediction)
    sigma_data = objective.sigma_data or saved.spec.sigma_data
    return NetworkDenoiser(backbone.to(device).eval(), trained, prediction, sigma_data)


def build_weak(
    path: Path,
    registry: Registry,
    device: torch.device,
    spec: DataSpec,
    scheduler: Scheduler,
    strong: tuple[Run, int] | None,
) -> Denoiser:
    """Another model of the same data, brought to a process.

    Args:
        path: the run or checkpoint.
        registry: where to find the components.
        device: where to put the model.
        spec: what its data must be.
        scheduler: the process.
        strong: the run and the step of the model that is guided, if they are known.

    Raises:
        ConfigError: it is the model itself, or one of other data, or of a process that cannot be
            that one.
    """
    saved = read(path)
    if (saved.spec.shape, saved.spec.num_classes) != (spec.shape, spec.num_classes):
        raise ConfigError(f"{path}: is a model of other data, which cannot guide this one")
    if strong == (saved.run, saved.checkpoint.step):
        raise ConfigError(f"{path}: is the model itself, and guides nowhere: take an earlier one")
    denoiser = build(saved, registry, device)
    if denoiser.scheduler == scheduler:
        return denoiser
    require_swap(denoiser.scheduler, scheduler, spec.sigma_data)
    return SwappedProcess(denoiser, scheduler)


def precisions(denoiser: Denoiser) -> set[torch.dtype]:
    """The types of all weights that a denoiser is known to have."""
    networks = (getattr(one, "backbone", None) for one in parts(denoiser))
    return {
        weight.dtype
        for network in networks
        if isinstance(network, nn.Module)
        for weight in network.parameters()
        if weight.is_floating_point()
    }


def load_weights(backbone: nn.Module, checkpoint: Checkpoint) -> nn.Module:
    """The network with the averaged weights of a checkpoint, every key and shape of them."""
    try:
        backbone.load_state_dict(checkpoint.ema)
    except RuntimeError as error:
        reasons = [line.strip() for line in str(error).splitlines()[1:4]]
        raise CheckpointError(
            f"{checkpoint.path}: the weights do not fit the backbone: {' '.join(reasons)}"
        ) from error
    return backbone
