"""What must hold of every sampler; here, how its error falls with the step size.

A deterministic sampler follows the probability-flow ODE of a mixture of Gaussians; the law of a
stochastic one, on Gaussian data, is known to rounding from `diffx_core.testing.probe`.
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from diffx_core.noise import NoiseSource
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import Asked, noises, sample
from diffx_core.scheduler import Scheduler
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.oracle import GaussianDenoiser, MixtureDenoiser
from diffx_core.testing.probe import is_affine, law_error
from diffx_core.testing.run_laws import RUN_LAWS, AnySampler, accepted
from diffx_core.testing.times import ends

NOISE_RATIOS = (10.0, 0.05)
"""sigma / alpha at the two ends of the order test."""
GRIDS = (160, 320, 640)
"""Steps between which slopes are read."""
WIDTHS = (0.25, 0.5, 1.0)
"""Standard deviations of the data."""

ORDER_TOLERANCE = 0.15
"""How far a measured order may be from the declared one."""

LONGEST_MEMORY = 4
"""Steps that a multistep method may look back."""


def window(scheduler: Scheduler, steps: int) -> Plan:
    """A plan uniform in log-SNR, from which nothing is cut off and on which no step denoises.

    It keeps within the process, where that has less noise, or less data, than usual.
    """
    most, least = scheduler.log_snr(ends(scheduler)).tolist()
    noisy, clear = (min(max(-2 * math.log(one), least), most) for one in NOISE_RATIOS)
    levels = torch.linspace(noisy, clear, steps + 1, dtype=torch.float64)
    return Plan.of(scheduler, scheduler.time_of(levels), clean=False)


def flow_error(sampler: AnySampler, plan: Plan) -> float:
    """The distance from the exact end of the ODE, for a mixture.

    The first steps are put right before the next, so that a multistep method is measured and not
    the one-step method that it starts with.
    """
    denoiser = MixtureDenoiser(plan.scheduler)
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    start = noise.normal((3,), -1).mul_(plan.prior_std())

    def exact(i: int) -> Tensor:
        return denoiser.flow(start, plan.times[0], plan.times[i])

    if type(sampler).run is not Sampler.run:
        x = sample(sampler, denoiser, (3,), noise=noise, plan=plan)
        return float((x - exact(-1)).abs().max())
    x, state = start, sampler.start(plan)
    for i, draw_step in enumerate(partial(noises(noise, (3,), plan), n) for n in range(plan.steps)):
        x, state = sampler.step(Asked(denoiser), x, i, plan, state, draw_step)
        x = exact(i + 1) if i < LONGEST_MEMORY else x
    return float((x - exact(-1)).abs().max())


def widths_error(sampler: AnySampler, plan: Plan) -> float:
    """The error of the law of the result, over Gaussian data of several widths."""
    oracles = [GaussianDenoiser(plan.scheduler, std=std) for std in WIDTHS]
    return sum(law_error(sampler, oracle, plan) for oracle in oracles)


def limit_slope(errors: Sequence[float]) -> float:
    """The slope of the error in the limit, from three grids, each twice as fine as the one before.

    error = C h^p (1 + c h) has the slope p + c' h on a grid, so that twice the slope on the finer
    grids less the slope on the coarser is p. The correction is far from small: with an exact start
    the slopes of a third-order method are 3.25 and 3.14.
    """
    coarse, fine = (math.log2(a / b) for a, b in pairwise(errors))
    return 2 * fine - coarse


def unmeasurable(sampler: AnySampler, scheduler: Scheduler) -> str:
    """Why the order cannot be measured; nothing if it can."""
    if not sampler.converges:
        return "it has an error that does not vanish with the step size"
    if scheduler.grid() is not None:
        return "the process is in discrete time, where steps cannot become small"
    affine = is_affine(sampler, GaussianDenoiser(scheduler), window(scheduler, 4))
    if sampler.stochastic and not affine:
        return "the steps are not affine in x, so their law is not known exactly"
    return ""


def measured_order(
    sampler: AnySampler, scheduler: Scheduler, grids: Sequence[int] = GRIDS
) -> float:
    """The slope of the error in the limit: of the law of the result if the sampler draws noise.

    Args:
        sampler: the method.
        scheduler: the process.
        grids: three numbers of steps, each twice the one before.
    """
    error = widths_error if sampler.stochastic else flow_error
    return limit_slope([error(sampler, window(scheduler, steps)) for steps in grids])


def order(sampler: AnySampler) -> Measurement:
    """The distance between the declared order and the smallest slope of the error in the limit.

    The smallest over the reference processes, because a leading term that happens to vanish on
    one of them does not raise the order of a method.
    """
    slopes = {}
    for scheduler in accepted(sampler):
        if why := unmeasurable(sampler, scheduler):
            return Measurement(math.nan, ORDER_TOLERANCE, why, measured=False)
        slopes[type(scheduler).__name__] = measured_order(sampler, scheduler)
    detail = ", ".join(f"{name} {slope:.2f}" for name, slope in slopes.items())
    error = abs(min(slopes.values()) - sampler.rate)
    return Measurement(error, ORDER_TOLERANCE, detail)


SAMPLER_LAWS: tuple[Law[AnySampler], ...] = (
    Law("the error falls with the declared order", order),
    *RUN_LAWS,
)
