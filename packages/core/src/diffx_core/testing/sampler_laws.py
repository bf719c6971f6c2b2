"""What must hold of every sampler, on data for which the answer is known exactly.

A deterministic sampler must follow the probability-flow ODE of a mixture of Gaussians, a stochastic
one must reproduce the marginals of Gaussian data, and both with the order that they declare.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from diffx_core.contract import require
from diffx_core.errors import ComponentError, ConfigError
from diffx_core.noise import NoiseSource
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import Asked, noises, sample
from diffx_core.scheduler import Scheduler
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.oracle import REFERENCE_PROCESSES, GaussianDenoiser, MixtureDenoiser
from diffx_core.testing.probe import is_affine, law_error

AnySampler = Sampler[Any]

NOISE_RATIOS = (10.0, 0.05)
"""sigma / alpha at the two ends of the order test."""
GRIDS = (160, 320, 640)
"""Steps between which slopes are read."""
WIDTHS = (0.25, 0.5, 1.0)
"""Standard deviations of the data."""

LONGEST_MEMORY = 4
"""Steps that a multistep method may look back."""

MANY_STEPS = 200
"""Enough for a method of first order to be within three percent."""


def window(scheduler: Scheduler, steps: int) -> Plan:
    """A plan uniform in log-SNR, from which nothing is cut off and on which no step denoises."""
    high, low = (-2 * math.log(ratio) for ratio in NOISE_RATIOS)
    levels = torch.linspace(high, low, steps + 1, dtype=torch.float64)
    return Plan.of(scheduler, scheduler.time_of(levels), clean=False)


def accepted(sampler: AnySampler) -> tuple[Scheduler, ...]:
    """The reference processes that the sampler does not refuse."""
    agreed = []
    for scheduler in REFERENCE_PROCESSES:
        try:
            require(sampler, scheduler)
        except ConfigError:
            continue
        agreed.append(scheduler)
    assert agreed, f"{type(sampler).__name__} refuses every reference process"
    return tuple(agreed)


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


def order(sampler: AnySampler) -> Measurement:
    """The distance between the declared order and the smallest slope of the error in the limit.

    The smallest over the reference processes, because a leading term that happens to vanish on
    one of them does not raise the order of a method.
    """
    error = widths_error if sampler.stochastic else flow_error
    if not sampler.converges:
        why = "it has an error that does not vanish with the step size"
        return Measurement(math.nan, 0.15, why, measured=False)
    slopes = {}
    for scheduler in accepted(sampler):
        if not is_affine(sampler, GaussianDenoiser(scheduler), window(scheduler, 4)):
            why = "the steps are not affine in x, so their law is not known exactly"
            return Measurement(math.nan, 0.15, why, measured=False)
        slope = limit_slope([error(sampler, window(scheduler, n)) for n in GRIDS])
        slopes[type(scheduler).__name__] = slope
    detail = ", ".join(f"{name} {slope:.2f}" for name, slope in slopes.items())
    return Measurement(abs(min(slopes.values()) - sampler.rate), 0.15, detail)


def draw(sampler: AnySampler, scheduler: Scheduler, indices: list[int], *shape: int) -> Tensor:
    """Samples of the standard problem."""
    noise = NoiseSource(0, indices, dtype=torch.float64)
    return sample(sampler, GaussianDenoiser(scheduler), shape, noise=noise)


def spread(sampler: AnySampler) -> Measurement:
    """The relative error of the standard deviation of samples, on every reference process.

    8192 numbers leave a standard error of 0.8 %, a Langevin corrector inflates the variance by
    snr^2, ancestral noise of so many steps falls short by 3 %.
    """
    return deviation(evolve(sampler, steps=MANY_STEPS), 4, 2048, tolerance=0.06)


def deviation(sampler: AnySampler, count: int, dimensions: int, *, tolerance: float) -> Measurement:
    """The relative error of the standard deviation of samples of one shape."""
    found = {
        type(scheduler).__name__: float(
            draw(sampler, scheduler, list(range(count)), dimensions).std()
        )
        for scheduler in accepted(sampler)
    }
    errors = torch.tensor([std / 0.5 - 1 for std in found.values()]).abs()
    detail = ", ".join(f"{name} {std:.4f}" for name, std in found.items())
    return Measurement(float(errors.max()), tolerance, f"{detail}, not 0.5")


def spread_in_the_plane(sampler: AnySampler) -> Measurement:
    """The same for points in the plane, where norms are far from their expectations.

    1024 numbers leave a standard error of 2.2 %, 100 steps of a method of first order about 6 %.
    """
    return deviation(evolve(sampler, steps=100), 512, 2, tolerance=0.15)


def calls(sampler: AnySampler) -> Measurement:
    """The difference between the declared and the counted calls of the network."""
    if sampler.nfe is None:
        return Measurement(math.nan, 0, "it is found during the run", measured=False)
    denoiser = GaussianDenoiser(REFERENCE_PROCESSES[0])
    with suppress(ComponentError):  # that is how a run with other calls than declared ends
        sample(sampler, denoiser, (1,), noise=NoiseSource(0, [0], dtype=torch.float64))
    counted = len(denoiser.calls)
    return Measurement(abs(counted - sampler.nfe), 0, f"{counted} calls, {sampler.nfe} declared")


def batch_invariance(sampler: AnySampler) -> Measurement:
    """The largest difference between a sample alone and the same sample in a batch."""
    scheduler = REFERENCE_PROCESSES[0]
    alone, batched = draw(sampler, scheduler, [3], 8), draw(sampler, scheduler, [0, 1, 2, 3, 4], 8)
    return Measurement(float((alone[0] - batched[3]).abs().max()), 0)


def repeatability(sampler: AnySampler) -> Measurement:
    """The largest difference between two runs with the same seed."""
    first, second = (draw(sampler, REFERENCE_PROCESSES[0], [0, 1], 8) for _ in range(2))
    return Measurement(float((first - second).abs().max()), 0)


def few_steps(sampler: AnySampler) -> Measurement:
    """The largest number after one to three steps; not finite if any of them is not."""
    try:
        found = [
            draw(evolve(sampler, steps=n), scheduler, [0, 1], 64)
            for n in (1, 2, 3)
            for scheduler in accepted(sampler)
        ]
    except ComponentError as error:
        return Measurement(math.inf, 10.0, str(error))
    return Measurement(float(torch.cat(found).abs().max()), 10.0, "data: mean 0.7, deviation 0.5")


SAMPLER_LAWS: tuple[Law[AnySampler], ...] = (
    Law("the error falls with the declared order", order),
    Law("samples have the standard deviation of the data", spread),
    Law("so have samples in the plane", spread_in_the_plane),
    Law("the declared number of network calls is made", calls),
    Law("a sample does not depend on its batch", batch_invariance),
    Law("the same seed gives the same sample", repeatability),
    Law("one to three steps from pure noise do not explode", few_steps),
)
