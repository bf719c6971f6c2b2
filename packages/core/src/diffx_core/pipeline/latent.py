"""From data to noise and back along the probability-flow ODE, and ways between noises.

A deterministic sampler steps in either direction. From data it begins where the noise is too little
to see, at sigma / alpha = 1/1000, with x = alpha x0, and it ends there on the way back. Where no
data are left at the end, the way ends at sigma / alpha = 1000, so that there is a way back.

    slerp(a, b, u) = |.| (sin((1 - u) th) a/|a| + sin(u th) b/|b|) / sin(th),    th the angle

References:
    Song et al., Denoising Diffusion Implicit Models, 2021, arXiv:2010.02502, sections 4.3 and 5.3.
"""

import math
from typing import Any

import torch
from torch import Tensor

from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.grids import FINITE_LOG_SNR, legal
from diffx_core.known import known
from diffx_core.sampler import Plan, Sampler

PARALLEL = 1e-6
"""An angle whose sine is as good as the angle."""


def plan_down(sampler: Sampler[Any], denoiser: Denoiser) -> Plan:
    """The sampler's times from noise to data, the last of them with hardly any noise."""
    scheduler = known(denoiser.scheduler, denoiser.t_min)
    times = sampler.times(scheduler, denoiser.t_max)
    table = scheduler.grid()
    if table is None:
        # At most half the noise of the time before, where that has hardly any itself.
        level = scheduler.log_snr(times[-2:-1]) + math.log(4)
        times[-1:] = scheduler.time_of(level.clamp(min=FINITE_LOG_SNR))
        level = scheduler.log_snr(times[1:2]) - math.log(4)
        latest = scheduler.time_of(level.clamp(max=-FINITE_LOG_SNR))
        times[:1] = torch.minimum(times[:1], latest)
    else:
        finite = table[scheduler.log_snr(table) >= -FINITE_LOG_SNR]
        if len(times) > len(finite):
            name = type(denoiser.scheduler).__name__
            raise ConfigError(
                f"{name} has {len(finite)} times at which both data and noise are left: between "
                f"them {len(finite) - 1} steps can be taken, not {sampler.steps}"
            )
        times = legal(scheduler, torch.cat([times.clamp(max=finite[-1]), times[-1:]]))[:-1]
    return Plan.of(scheduler, times, clean=False)


def plan_up(sampler: Sampler[Any], denoiser: Denoiser) -> Plan:
    """The same times from data to noise."""
    down = plan_down(sampler, denoiser)
    times = torch.tensor(down.times, dtype=torch.float64)
    return Plan.of(down.scheduler, times.flip(0), clean=False)


def plan_from(sampler: Sampler[Any], denoiser: Denoiser, share: float) -> Plan:
    """The sampler's times from where sigma / (alpha + sigma) has a value above 0."""
    scheduler, name = known(denoiser.scheduler, denoiser.t_min), type(denoiser.scheduler).__name__
    noise = torch.tensor(share, dtype=torch.float64)
    t = float(scheduler.time_of(2 * ((-noise).log1p() - noise.log())))
    if t <= scheduler.t_min:
        raise ConfigError(
            f"strength {share:g} is less noise than {name} has at any time that the model knows"
        )
    times = sampler.times(scheduler, min(t, denoiser.t_max))
    table = scheduler.grid()
    if table is not None and (count := int((table <= times[0]).sum())) < sampler.steps:
        raise ConfigError(
            f"{name} has {count} times up to strength {share:g}: that many steps can be taken, not "
            f"{sampler.steps}"
        )
    return Plan.of(scheduler, legal(scheduler, times))


def deterministic(sampler: Sampler[Any]) -> Sampler[Any]:
    """The sampler, where there must be one way from noise to data.

    Raises:
        ConfigError: it draws noise.
    """
    if sampler.stochastic:
        raise ConfigError(
            f"the sampler {type(sampler).__name__} draws noise, so its way cannot be gone back or "
            "shared: use one that draws none"
        )
    return sampler


def slerp(a: Tensor, b: Tensor, u: float | Tensor) -> Tensor:
    """Points on the arc from a to b, each tensor taken as one vector.

    Directions turn at a constant rate; norms change in a straight line, so equal norms are kept.

    Args:
        a: where u is 0.
        b: where u is 1.
        u: a number, or (N,) for N points (N, *shape).

    Raises:
        ConfigError: they point in opposite directions, or one is zero: there is no shortest arc.

    Examples:
        >>> east, north = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
        >>> slerp(east, north, 0.5)
        tensor([1.4142, 1.4142])
        >>> slerp(east, north, torch.tensor([0.0, 1.0])).shape
        torch.Size([2, 2])
    """
    share = torch.as_tensor(u, dtype=a.dtype, device=a.device)
    column = share.reshape(-1, *[1] * a.ndim) if share.ndim else share
    norms = [torch.linalg.vector_norm(one) for one in (a, b)]
    if not min(norms) > 0:
        raise ConfigError("there is no arc to or from zero")
    first, second = a / norms[0], b / norms[1]
    apart, along = (torch.linalg.vector_norm(one) for one in (first - second, first + second))
    if not along > PARALLEL:
        raise ConfigError("the two point in opposite directions: there is no shortest arc")
    angle = 2 * torch.atan2(apart, along)
    if angle < PARALLEL:
        turned = torch.lerp(first, second, column)
    else:
        turned = ((1 - column) * angle).sin() * first + (column * angle).sin() * second
        turned = turned / angle.sin()
    return turned * torch.lerp(norms[0], norms[1], column)
