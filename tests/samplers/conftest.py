"""What the tests of the samplers share: ways through a mixture, the end of whose ODE is known."""

import math
from types import SimpleNamespace

import pytest
import torch

from diffx_core import Plan
from diffx_core.testing import REFERENCE_PROCESSES, MixtureDenoiser
from diffx_core.testing.sampler_laws import limit_slope, window


@pytest.fixture(params=REFERENCE_PROCESSES, ids=lambda scheduler: type(scheduler).__name__)
def process(request):
    return request.param


@pytest.fixture(scope="session")
def walks():
    """The functions below."""
    here = (plan_through, starts, walk, error, slope, order)
    return SimpleNamespace(**{one.__name__: one for one in here})


def plan_through(scheduler, ratios, *, clean=False):
    """A plan with the given values of sigma / alpha."""
    levels = -2 * torch.as_tensor(ratios, dtype=torch.float64).log()
    return Plan.of(scheduler, scheduler.time_of(levels), clean=clean)


def starts(plan):
    """Some x at the first time."""
    return torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None] * plan.sigma[0]


def walk(sampler, denoiser, plan, start, *, given=(), noise=None):
    """Every x from the start on; the first few are given instead of found."""
    x, state, reached = start, sampler.start(plan), [start]
    for i in range(plan.steps):
        x, state = sampler.step(denoiser, x, i, plan, state, noise)
        x = given[i + 1] if i + 1 < len(given) else x
        reached.append(x)
    return reached


def error(sampler, scheduler, steps, *, exact=5):
    """The distance from the end of the ODE of a mixture, from as many exact points as said."""
    plan, denoiser = window(scheduler, steps), MixtureDenoiser(scheduler)
    start = starts(plan)
    given = [denoiser.flow(start, plan.times[0], t) for t in plan.times[:exact]]
    end = denoiser.flow(start, plan.times[0], plan.times[-1])
    return float((walk(sampler, denoiser, plan, start, given=given)[-1] - end).abs().max())


def slope(sampler, scheduler, coarse, *, exact=5):
    """The slope of that error from one grid to the one that is twice as fine."""
    first, second = (error(sampler, scheduler, n, exact=exact) for n in (coarse, 2 * coarse))
    return math.log2(first / second)


def order(sampler, scheduler, coarse=160):
    """The slope in the limit, from three grids."""
    return limit_slope([error(sampler, scheduler, n) for n in (coarse, 2 * coarse, 4 * coarse)])
