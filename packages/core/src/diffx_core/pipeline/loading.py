"""From the folder of a run to its model."""

from pathlib import Path
from typing import Any

import torch
from attrs import evolve, frozen
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
from diffx_core.text import TextEncoder


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
    checkpoint = load_checkpoint(path, ["ema"])
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
    backbone = backbone.to(device).eval()
    return NetworkDenoiser(backbone, trained, prediction, sigma_data, objective.scale_input)


def build_text(
    run: Run, registry: Registry, device: torch.device, root: Path | None
) -> TextEncoder | None:
    """The text encoder that a model was trained with, if there was one.

    Args:
        run: how the model was made.
        registry: where to find the components.
        device: where to put the encoder.
        root: where its files are now, if they have moved.

    Raises:
        CheckpointError: its files are not there, or are others, or it has none.
    """
    saved = run.components.get("text")
    if root is not None and (saved is None or "root" not in saved.options):
        raise CheckpointError("the model was trained without a text encoder that reads files")
    if saved is None:
        return None
    if root is not None:
        saved = evolve(saved, options={**saved.options, "root": str(root)})
        run = evolve(run, components={**run.components, "text": saved})
    try:
        text: TextEncoder = run.build("text", registry)
    except ConfigError as error:
        hint = "; if they have moved, --text-root says where to" if "root" in saved.options else ""
        lines = (f"text {saved.label}: {one}{hint}" for one in error.problems)
        raise CheckpointError(*lines) from error
    if text.fingerprint != saved.fingerprint:
        raise CheckpointError(
            f"text {saved.label}: its files in {saved.options.get('root')} are not those that the"
            " model was trained with"
        )
    return text.on(device)


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
    if facts(saved.spec) != facts(spec):
        raise ConfigError(f"{path}: is a model of other data, which cannot guide this one")
    if strong is not None and read_by(saved.run) != read_by(strong[0]):
        raise ConfigError(f"{path}: reads texts by another encoder, and cannot guide this model")
    if strong == (saved.run, saved.checkpoint.step):
        raise ConfigError(f"{path}: is the model itself, and guides nowhere: take an earlier one")
    denoiser = build(saved, registry, device)
    if denoiser.scheduler == scheduler:
        return denoiser
    require_swap(denoiser.scheduler, scheduler, spec.sigma_data)
    return SwappedProcess(denoiser, scheduler)


def facts(spec: DataSpec) -> tuple[object, ...]:
    """What two models must agree on if one guides the other."""
    return spec.shape, spec.num_classes, spec.context, spec.paired


def read_by(run: Run) -> tuple[object, ...] | None:
    """What makes tokens of texts for a model, wherever its files are."""
    saved = run.components.get("text")
    if saved is None:
        return None
    return saved.name, {**saved.options, "root": None}, saved.fingerprint


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
        what = f"the weights do not fit the backbone: {_misfit(backbone, checkpoint)}"
        raise CheckpointError(f"{checkpoint.path}: {what}") from error
    return backbone


def _misfit(backbone: nn.Module, checkpoint: Checkpoint) -> str:
    """Which weights differ, at most a few by name."""
    wanted = {name: one.shape for name, one in backbone.state_dict().items()}
    given = {name: one.shape for name, one in checkpoint.ema.items()}
    names = [name for name in {**wanted, **given} if wanted.get(name) != given.get(name)]
    first, *_ = names or ["?"]
    has, needs = (
        "none" if shape is None else "x".join(map(str, shape)) or "a number"
        for shape in (given.get(first), wanted.get(first))
    )
    more = f", and {len(names) - 1} more differ" if len(names) > 1 else ""
    return f"it is another network: {first} is {has}, not {needs}{more}"
