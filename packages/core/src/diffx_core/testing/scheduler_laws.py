"""What must hold of every noise process.

Closed forms are held against what follows from alpha and sigma alone; drift and diffusion against
the marginals that they must reproduce. Everything in float64, on the open interval of times, so
that no law asks for 0 / 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from diffx_core.scheduler import Scheduler, derivative
from diffx_core.testing.law import Law, Measurement

MARGIN = 1e-3
"""Share of the time interval that is left out at either end, where a process may be singular."""
PANELS = 4000
"""Simpson panels: their error, of the fourth order, is below 1e-9 for all processes here."""


def interior(scheduler: Scheduler, count: int = 257) -> Tensor:
    """Rising times inside the process."""
    margin = MARGIN * (scheduler.t_max - scheduler.t_min)
    return torch.linspace(
        scheduler.t_min + margin, scheduler.t_max - margin, count, dtype=torch.float64
    )


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the value plus 1/1000 of the mean magnitude."""
    scale = expected.abs() + 1e-3 * expected.abs().mean() + torch.finfo(torch.float64).tiny
    return float(((found - expected).abs() / scale).max())


def finite_marginals(scheduler: Scheduler) -> Measurement:
    """How many values of alpha and sigma, ends included, are not finite or are negative."""
    t = torch.linspace(scheduler.t_min, scheduler.t_max, 101, dtype=torch.float64)
    wrong = 0
    for dtype in (torch.float64, torch.float32):
        for value in (scheduler.alpha(t.to(dtype)), scheduler.sigma(t.to(dtype))):
            if value.shape != t.shape or value.dtype != dtype:
                return Measurement(float("inf"), 0, f"{value.dtype} {tuple(value.shape)}")
            wrong += int((~(value.isfinite() & (value >= 0))).sum())
    return Measurement(wrong, 0, "values")


def falling_snr(scheduler: Scheduler) -> Measurement:
    """The largest step of the log-SNR to a later time; below zero if it falls strictly."""
    steps = scheduler.log_snr(interior(scheduler)).diff()
    return Measurement(float(steps.max()), -1e-12, "largest step")


def closed_log_snr(scheduler: Scheduler) -> Measurement:
    """`log_snr` against log(alpha^2 / sigma^2)."""
    t = interior(scheduler)
    ratio = 2 * (scheduler.alpha(t) / scheduler.sigma(t)).log()
    return Measurement(relative(scheduler.log_snr(t), ratio), 1e-8)


def inverse_log_snr(scheduler: Scheduler) -> Measurement:
    """`time_of(log_snr(t))` against t, as a share of the interval."""
    t = interior(scheduler)
    error = (scheduler.time_of(scheduler.log_snr(t)) - t).abs().max()
    return Measurement(float(error) / (scheduler.t_max - scheduler.t_min), 1e-9)


def bounded_inverse(scheduler: Scheduler) -> Measurement:
    """The distance of `time_of` from the ends, for levels beyond anything that the process has."""
    worst = 0.0
    for dtype in (torch.float64, torch.float32):
        levels = torch.tensor([torch.inf, 1e3, -1e3, -torch.inf], dtype=dtype)
        ends = torch.tensor([scheduler.t_min] * 2 + [scheduler.t_max] * 2, dtype=dtype)
        apart = (scheduler.time_of(levels) - ends).abs() / (scheduler.t_max - scheduler.t_min)
        worst = max(worst, float(apart.nan_to_num(torch.inf).max()))
    return Measurement(worst, 1e-6)


def closed_rates(scheduler: Scheduler) -> Measurement:
    """`alpha_rate` and `sigma_rate` against the derivatives of alpha and sigma."""
    t = interior(scheduler)
    return Measurement(
        max(
            relative(scheduler.alpha_rate(t), derivative(scheduler.alpha, t)),
            relative(scheduler.sigma_rate(t), derivative(scheduler.sigma, t)),
        ),
        1e-8,
    )


def closed_sde(scheduler: Scheduler) -> Measurement:
    """`drift` against alpha'/alpha, and `diffusion` squared against -sigma^2 d(log-SNR)/dt."""
    t = interior(scheduler)
    alpha, sigma = scheduler.alpha(t), scheduler.sigma(t)
    drift = derivative(scheduler.alpha, t) / alpha
    squared = 2 * sigma * (derivative(scheduler.sigma, t) - drift * sigma)
    return Measurement(
        max(relative(scheduler.drift(t), drift), relative(scheduler.diffusion(t) ** 2, squared)),
        1e-8,
    )


def simpson(fn: Callable[[Tensor], Tensor], edges: Tensor) -> Tensor:
    """The integral of fn over each interval between two edges."""
    low, high = edges[:-1], edges[1:]
    return (high - low) / 6 * (fn(low) + 4 * fn((low + high) / 2) + fn(high))


def moments(scheduler: Scheduler) -> Measurement:
    """Mean and variance of dx = f x dt + g dW, integrated over time, against alpha and sigma.

    The mean obeys m' = f m, the variance V' = 2 f V + g^2. The panels are equal in log-SNR.
    """
    ends = scheduler.log_snr(interior(scheduler, 2))
    levels = torch.linspace(float(ends[0]), float(ends[1]), PANELS + 1, dtype=torch.float64)
    edges = scheduler.time_of(levels)
    alpha, sigma = scheduler.alpha(edges), scheduler.sigma(edges)
    mean = simpson(scheduler.drift, edges).cumsum(0).exp()
    grown = simpson(lambda t: (scheduler.diffusion(t) / scheduler.alpha(t)) ** 2, edges).cumsum(0)
    variance = alpha[1:] ** 2 * ((sigma[0] / alpha[0]) ** 2 + grown)
    return Measurement(
        max(relative(mean, alpha[1:] / alpha[0]), relative(variance, sigma[1:] ** 2)), 1e-7
    )


def kernels(scheduler: Scheduler) -> Measurement:
    """The kernel from s to t against the marginals at s and t, and against the way through u."""
    times = interior(scheduler, 33)
    s, u, t = times[:-2], times[1:-1], times[2:]
    scale, std = scheduler.kernel(s, t)
    variance = (scale * scheduler.sigma(s)) ** 2 + std**2
    (first, first_std), (second, second_std) = scheduler.kernel(s, u), scheduler.kernel(u, t)
    through = (second * first_std) ** 2 + second_std**2
    return Measurement(
        max(
            relative(scale * scheduler.alpha(s), scheduler.alpha(t)),
            relative(variance, scheduler.sigma(t) ** 2),
            relative(first * second, scale),
            relative(through, std**2),
        ),
        1e-10,
    )


def single_precision(scheduler: Scheduler) -> Measurement:
    """Alpha and sigma in float32 against float64, at times that float32 represents."""
    t = interior(scheduler).float()
    return Measurement(
        max(
            relative(scheduler.alpha(t).double(), scheduler.alpha(t.double())),
            relative(scheduler.sigma(t).double(), scheduler.sigma(t.double())),
        ),
        1e-5,
    )


def telling_label(scheduler: Scheduler) -> Measurement:
    """The largest noise label; infinite if labels are not finite or do not tell the times apart."""
    t = torch.linspace(scheduler.t_min, scheduler.t_max, 257, dtype=torch.float64)
    labels = scheduler.noise_label(t)
    steps = labels.diff()
    if not labels.isfinite().all() or not ((steps > 0).all() or (steps < 0).all()):
        return Measurement(float("inf"), 1001.0)
    return Measurement(float(labels.abs().max()), 1001.0, "largest label")


SCHEDULER_LAWS: tuple[Law[Scheduler], ...] = (
    Law("alpha and sigma are finite at both ends", finite_marginals),
    Law("the signal-to-noise ratio falls strictly", falling_snr),
    Law("log_snr is log(alpha^2 / sigma^2)", closed_log_snr),
    Law("time_of inverts log_snr", inverse_log_snr),
    Law("time_of stays within the process", bounded_inverse),
    Law("rates are the derivatives", closed_rates),
    Law("drift and diffusion follow from alpha and sigma", closed_sde),
    Law("the SDE reproduces the marginals", moments),
    Law("kernels carry the marginals and form a semigroup", kernels),
    Law("float32 agrees with float64", single_precision),
    Law("the noise label tells the noise level", telling_label),
)
