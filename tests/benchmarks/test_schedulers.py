"""What a process costs: alpha, sigma and the coefficients of DDIM over 1000 steps.

Beside each process the same formulas in numpy, with nothing between them and the numbers. Run with
`pytest tests/benchmarks --benchmark-enable`. Nothing here asserts a time; that both ways give the
same coefficients is asserted.
"""

import math

import numpy as np
import pytest
import torch

from diffx_core import Plan
from diffx_core.plugins import Registry
from diffx_samplers.ddim import DDIM

STEPS = 1000
REGISTRY = Registry.load({})
SCHEDULERS = [
    one.name
    for one in REGISTRY.all()
    if one.kind == "scheduler" and one.distribution == "diffx-schedulers"
]


def _integral(t):
    return t * (0.1 + 19.9 / 2 * t)


def vpsde(t):
    return np.exp(-_integral(t) / 2), np.sqrt(-np.expm1(-_integral(t)))


def subvpsde(t):
    return np.exp(-_integral(t) / 2), -np.expm1(-_integral(t))


def vesde(t):
    return np.ones_like(t), 0.01 * 5000**t


def edm(t):
    return np.ones_like(t), t


def cosine(t):
    rate = math.pi / 2 / 1.008
    alpha = np.sin(rate * (1 - t)) / math.sin(rate)
    return alpha, np.sqrt(np.sin(rate * t) * np.sin(rate * (t + 0.016))) / math.sin(rate)


def flow(t):
    return 1 - t, t


def gvp(t):
    return np.sin(math.pi / 2 * (1 - t)), np.sin(math.pi / 2 * t)


def ddpm(t):
    log_abar = np.cumsum(np.log1p(-np.linspace(1e-4, 0.02, 1000)))
    now = np.interp(t, np.arange(1001) / 1000, np.append(0, log_abar))
    return np.exp(now / 2), np.sqrt(-np.expm1(now))


BARE = {
    "vpsde": vpsde,
    "subvpsde": subvpsde,
    "vesde": vesde,
    "edm": edm,
    "cosine": cosine,
    "flow": flow,
    "rectified_flow": flow,
    "gvp": gvp,
    "logsnr": gvp,
    "ddpm": ddpm,
}


def coefficients(scheduler, times):
    """The weights of x0, eps and new noise at every step, as the sampling loop has them."""
    plan = Plan.of(scheduler, times, clean=False)
    return DDIM(steps=STEPS).start(plan)


def bare_coefficients(formula, times):
    """The same, as rows of a numpy array."""
    alpha, sigma = formula(times)
    return np.stack([alpha[1:], sigma[1:], np.zeros(len(times) - 1)], axis=1)


@pytest.fixture(params=SCHEDULERS)
def name(request):
    return request.param


@pytest.fixture
def scheduler(name):
    return REGISTRY.find("scheduler", name).load()()


@pytest.fixture
def times(scheduler):
    last, first = scheduler.t_min, scheduler.t_max
    return torch.linspace(first, last, STEPS + 1, dtype=torch.float64)


@pytest.mark.benchmark(group="alpha and sigma at 1000 times")
def test_marginals(benchmark, scheduler, times):
    alpha, sigma = benchmark(lambda: (scheduler.alpha(times), scheduler.sigma(times)))
    assert alpha.shape == sigma.shape == (STEPS + 1,)


@pytest.mark.benchmark(group="alpha and sigma at 1000 times")
def test_bare_marginals(benchmark, name, scheduler, times):
    formula, t = BARE[name], times.numpy()
    alpha, sigma = benchmark(lambda: formula(t))
    np.testing.assert_allclose(alpha, scheduler.alpha(times), rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(sigma, scheduler.sigma(times), rtol=1e-11, atol=1e-15)


@pytest.mark.benchmark(group="coefficients of 1000 steps of DDIM")
def test_coefficients(benchmark, scheduler, times):
    assert len(benchmark(lambda: coefficients(scheduler, times))) == STEPS


@pytest.mark.benchmark(group="coefficients of 1000 steps of DDIM")
def test_bare_coefficients(benchmark, name, scheduler, times):
    formula, t = BARE[name], times.numpy()
    rows = benchmark(lambda: bare_coefficients(formula, t))
    found = np.array(coefficients(scheduler, times))
    np.testing.assert_allclose(found, rows, rtol=1e-11, atol=1e-15)
