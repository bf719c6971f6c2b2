"""What training is put together from: what learns, and what makes it learn."""

import torch
from attrs import evolve
from torch import nn

from diffx_core.denoiser import NetworkDenoiser
from diffx_core.engine.averaging import average_of
from diffx_core.engine.course import Course
from diffx_core.engine.learner import Learner
from diffx_core.engine.optimizers import optimizers_for
from diffx_core.engine.precision import cast, scaler_for
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.update import Update
from diffx_core.objective import Objective
from diffx_core.options import EmaOptions, TrainOptions


def learner_for(
    model: nn.Module,
    objective: Objective,
    options: TrainOptions,
    ema: EmaOptions,
    device: torch.device,
) -> Learner:
    """What learns, at its beginning.

    Args:
        model: the network, on its device.
        objective: what it learns.
        options: how fast.
        ema: how its weights are averaged.
        device: where.
    """
    if options.channels_last:
        model.to(memory_format=torch.channels_last)
    return Learner(
        model.train(),
        objective.to(device).train(),
        optimizers_for(model, objective, options),
        scaler_for(options.precision, device),
        average_of(model, ema),
        Course(),
    )


def update_for(
    learner: Learner, denoiser: NetworkDenoiser, options: TrainOptions, ranks: Ranks
) -> Update:
    """What makes it learn: the same network, faster and on as many processes as there are.

    Args:
        learner: what learns.
        denoiser: the model.
        options: how its steps are made.
        ranks: the processes.
    """
    model = learner.model
    faster: nn.Module = torch.compile(model) if options.compile else model  # type: ignore[assignment]
    network = ranks.wrap(faster)
    backbone = cast(network, options.precision, channels_last=options.channels_last)
    return Update(
        evolve(denoiser, backbone=backbone),
        network,
        learner.objective,
        learner.optimizers,
        learner.scaler,
        ranks,
        total=options.batch_size,
        micro=ranks.micro(options.batch_size, options.micro_batch),
        clip=options.grad_clip,
    )
