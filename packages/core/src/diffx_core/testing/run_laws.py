"""What must hold of a run of any sampler: its calls, its noise, its samples, its limits."""

import math
from contextlib import suppress
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor

from diffx_core.contract import require
from diffx_core.errors import ComponentError, ConfigError
from diffx_core.noise import START, NoiseSource
from diffx_core.sampler import Sampler
from diffx_core.sampling import sample
from diffx_core.scheduler import Scheduler
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.oracle import (
    REFERENCE_PROCESSES,
    GaussianDenoiser,
    ReferenceFlow,
    ReferenceVP,
)
from diffx_core.testing.probe import Probe

AnySampler = Sampler[Any]

MANY_STEPS = 200
"""Enough for a method of first order to be within three percent."""
SEVERAL = (1, 2, 3, 8)
"""Numbers of steps for what must hold of any."""
LARGEST = 10.0
"""Of samples whose mean is 0.7 and whose deviation 0.5."""


@frozen
class Thousand(ReferenceVP):
    """The variance-preserving process at a thousand times."""

    def grid(self) -> Tensor:
        """Equally far apart."""
        return torch.arange(1, 1001, dtype=torch.float64) / 1000


def accepted(sampler: AnySampler) -> tuple[Scheduler, ...]:
    """The reference processes that the sampler does not refuse."""
    agreed = []
    for scheduler in REFERENCE_PROCESSES:
        with suppress(ConfigError):
            require(sampler, scheduler)
            agreed.append(scheduler)
    assert agreed, f"{type(sampler).__name__} refuses every reference process"
    return tuple(agreed)


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
    """The largest difference between the declared and the counted calls of the network.

    And, for the number of steps that is found for a number of calls, between that and the calls.
    """
    if sampler.nfe is None:
        return Measurement(math.nan, 0, "it is found during the run", measured=False)
    worst, detail = 0, ""
    for steps in (*SEVERAL, sampler.steps):
        one = evolve(sampler, steps=steps)
        declared = one.nfe
        assert declared is not None, "what is counted does not depend on the steps"
        for scheduler in accepted(one):
            denoiser = GaussianDenoiser(scheduler)
            with suppress(ComponentError):  # that is how a run with other calls than declared ends
                sample(one, denoiser, (1,), noise=NoiseSource(0, [0], dtype=torch.float64))
            counted = len(denoiser.calls)
            wrong = abs(counted - declared) + abs(one.with_nfe(declared).steps - steps)
            if wrong > worst:
                worst, detail = wrong, f"{counted} calls in {steps} steps, {declared} declared"
    return Measurement(worst, 0, detail)


def batch_invariance(sampler: AnySampler) -> Measurement:
    """The largest difference between a sample alone and the same in a batch, here of images."""
    scheduler, shape = accepted(sampler)[0], (2, 2, 2)
    alone, batched = (draw(sampler, scheduler, one, *shape) for one in ([3], [0, 1, 2, 3, 4]))
    return Measurement(float((alone[0] - batched[3]).abs().max()), 0)


def repeatability(sampler: AnySampler) -> Measurement:
    """The largest difference between two runs with the same seed."""
    scheduler = accepted(sampler)[0]
    first, second = (draw(sampler, scheduler, [0, 1], 8) for _ in range(2))
    return Measurement(float((first - second).abs().max()), 0)


def declared_noise(sampler: AnySampler) -> Measurement:
    """How many noises are drawn by a method that does not say so, or does not need the score.

    Noise that keeps the marginals is that of a reverse SDE, which the process must have.
    """
    scheduler = accepted(sampler)[0]
    drawn = Probe({})
    sample(evolve(sampler, steps=8), GaussianDenoiser(scheduler), (1,), noise=drawn)
    count = sum(step != START for step, _ in drawn.seen)
    says = sampler.stochastic and "reverse_sde" in sampler.needs()
    return Measurement(0 if says else count, 0, f"{count} noises, stochastic={sampler.stochastic}")


def kept_states(sampler: AnySampler) -> Measurement:
    """The largest change of a state after it has been shown: steps may not write into their x."""
    scheduler, shown = accepted(sampler)[0], list[tuple[Tensor, Tensor]]()
    sample(
        evolve(sampler, steps=8),
        GaussianDenoiser(scheduler),
        (4,),
        noise=NoiseSource(0, [0, 1], dtype=torch.float64),
        observe=lambda reached: shown.append((reached.x, reached.x.clone())),
    )
    return Measurement(max(float((now - then).abs().max()) for now, then in shown), 0)


def few_steps(sampler: AnySampler) -> Measurement:
    """The largest number after one to three steps; not finite if any of them is not."""
    found = []
    try:
        for steps in SEVERAL[:3]:
            one = evolve(sampler, steps=steps)
            found += [draw(one, scheduler, [0, 1], 64) for scheduler in accepted(one)]
    except ComponentError as error:
        return Measurement(math.inf, LARGEST, str(error))
    size = float(torch.cat(found).abs().max())
    return Measurement(size, LARGEST, "data: mean 0.7, deviation 0.5")


def no_data_left(sampler: AnySampler) -> Measurement:
    """The error of mean and deviation, in deviations, of samples that began with alpha = 0.

    100 steps of a method of first order are about 6 % off, an error of 8192 numbers is 1 %.
    """
    scheduler, tolerance = ReferenceFlow(), 0.15
    try:
        drawn = draw(evolve(sampler, steps=100), scheduler, list(range(4)), 2048)
    except ConfigError as refusal:
        return Measurement(math.nan, tolerance, str(refusal), measured=False)
    except (ArithmeticError, ComponentError) as error:
        return Measurement(math.inf, tolerance, f"{type(error).__name__}: {error}")
    mean, std = float(drawn.mean()), float(drawn.std())
    detail = f"mean {mean:.3f}, not 0.7; deviation {std:.3f}, not 0.5"
    return Measurement(max(abs(mean - 0.7), abs(std - 0.5)) / 0.5, tolerance, detail)


def discrete_time(sampler: AnySampler) -> Measurement:
    """How many calls ask about times that a process in discrete time does not know."""
    scheduler, refusal = Thousand(), ""
    known, worst, detail = set(scheduler.grid().tolist()), -1, ""
    for steps in (*SEVERAL, 50):
        denoiser = GaussianDenoiser(scheduler)
        noise = NoiseSource(0, [0], dtype=torch.float64)
        try:
            sample(evolve(sampler, steps=steps), denoiser, (2,), noise=noise)
        except ConfigError as error:
            refusal = str(error)
            continue
        strange = [t for t in denoiser.calls if t not in known]
        if len(strange) > worst:
            worst, detail = len(strange), f"{strange[0]:g} in {steps} steps" if strange else ""
    if worst < 0:
        return Measurement(math.nan, 0, refusal, measured=False)
    return Measurement(worst, 0, detail)


RUN_LAWS: tuple[Law[AnySampler], ...] = (
    Law("samples have the standard deviation of the data", spread),
    Law("so have samples in the plane", spread_in_the_plane),
    Law("the declared number of network calls is made", calls),
    Law("a sample does not depend on its batch", batch_invariance),
    Law("the same seed gives the same sample", repeatability),
    Law("noise is drawn only by a method that says so", declared_noise),
    Law("a state that was shown does not change", kept_states),
    Law("one to three steps from pure noise do not explode", few_steps),
    Law("sampling begins where no data are left", no_data_left),
    Law("in discrete time only known times are asked about", discrete_time),
)
