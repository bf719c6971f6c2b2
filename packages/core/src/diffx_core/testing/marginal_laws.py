"""What must hold of alpha and sigma, of the log-SNR and its inverse."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.scheduler import Scheduler
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.times import apart, ends, interior, relative, span

DATA_LEFT = 0.1
"""alpha / sigma at the end of a process that may begin to sample from noise alone."""
IMAGE = (1, 8, 8)
"""The shape of an example, for what depends on a condition."""


def everything(scheduler: Scheduler) -> dict[str, Callable[[Tensor], Tensor]]:
    """All functions of time, by name."""
    return {
        "alpha": scheduler.alpha,
        "sigma": scheduler.sigma,
        "alpha_rate": scheduler.alpha_rate,
        "sigma_rate": scheduler.sigma_rate,
        "log_snr": scheduler.log_snr,
        "log_snr_rate": scheduler.log_snr_rate,
        "drift": scheduler.drift,
        "diffusion": scheduler.diffusion,
        "noise_label": scheduler.noise_label,
    }


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


def elementwise(scheduler: Scheduler) -> Measurement:
    """Functions of one time and of a table of times against the same times in a row.

    They may not change the times either, nor hand them out to be changed.
    """
    inside = interior(scheduler)
    row = inside[torch.linspace(0, len(inside) - 1, 6).long()]
    worst, where = 0.0, ""
    for (name, fn), shape in product(everything(scheduler).items(), [(), (2, 3)]):
        here = f"{name} of times of shape {shape}"
        t = row[: 6 if shape else 1].reshape(shape).clone()
        found, expected = fn(t), fn(row)[: t.numel()]
        if found.shape != t.shape or found.dtype != t.dtype:
            return Measurement(float("inf"), 1e-12, f"{here}: {found.dtype} {tuple(found.shape)}")
        if not torch.equal(t.flatten(), row[: t.numel()]):
            return Measurement(float("inf"), 1e-12, f"{here} writes into them")
        if found.data_ptr() == t.data_ptr():
            return Measurement(float("inf"), 1e-12, f"{here} is the times: return t.clone()")
        error = apart(found.flatten(), expected)
        if error > worst:
            worst, where = error, here
    return Measurement(worst, 1e-12, where)


def falling_snr(scheduler: Scheduler) -> Measurement:
    """The largest step of the log-SNR to a later time; below zero if it falls strictly."""
    steps = scheduler.log_snr(interior(scheduler)).diff()
    return Measurement(float(steps.max()), -1e-12, "largest step")


def closed_log_snr(scheduler: Scheduler) -> Measurement:
    """`log_snr` against log(alpha^2 / sigma^2), infinite at an end where one of them vanishes."""
    t = torch.cat([ends(scheduler), interior(scheduler)])
    ratio = 2 * (scheduler.alpha(t).log() - scheduler.sigma(t).log())
    return Measurement(apart(scheduler.log_snr(t), ratio), 1e-8)


def inverse_log_snr(scheduler: Scheduler) -> Measurement:
    """`time_of(log_snr(t))` against t, as a share of the interval, and its log-SNR against t's."""
    t = interior(scheduler)
    level = scheduler.log_snr(t)
    found = scheduler.time_of(level)
    error = float((found - t).abs().max()) / span(scheduler)
    return Measurement(max(error, apart(scheduler.log_snr(found), level)), 1e-9)


def bounded_inverse(scheduler: Scheduler) -> Measurement:
    """The distance of `time_of` from the ends, for levels beyond anything that the process has."""
    worst = 0.0
    for dtype in (torch.float64, torch.float32):
        beyond = torch.tensor([torch.inf, 1e3, -1e3, -torch.inf], dtype=dtype)
        bounds = torch.tensor([scheduler.t_min] * 2 + [scheduler.t_max] * 2, dtype=dtype)
        distance = (scheduler.time_of(beyond) - bounds).abs() / span(scheduler)
        worst = max(worst, float(distance.nan_to_num(torch.inf).max()))
    return Measurement(worst, 1e-6)


def single_precision(scheduler: Scheduler) -> Measurement:
    """Float32 against float64, for times and levels that float32 represents."""
    t = torch.cat([ends(scheduler), interior(scheduler)]).float()
    level = scheduler.log_snr(t[2:].double()).float()
    time = scheduler.time_of(level).double() - scheduler.time_of(level.double())
    figures = {
        "alpha": relative(scheduler.alpha(t).double(), scheduler.alpha(t.double())),
        "sigma": relative(scheduler.sigma(t).double(), scheduler.sigma(t.double())),
        "log_snr": apart(scheduler.log_snr(t).double(), scheduler.log_snr(t.double())),
        "time_of": float((time.abs() / span(scheduler)).nan_to_num(torch.inf).max()),
    }
    worst = max(figures, key=lambda name: figures[name])
    return Measurement(figures[worst], 1e-5, worst)


def telling_label(scheduler: Scheduler) -> Measurement:
    """The largest noise label; infinite if labels are not finite or do not tell the times apart."""
    t = torch.linspace(scheduler.t_min, scheduler.t_max, 257, dtype=torch.float64)
    labels = scheduler.noise_label(t)
    steps = labels.diff()
    if not labels.isfinite().all() or not ((steps > 0).all() or (steps < 0).all()):
        return Measurement(float("inf"), 1001.0)
    return Measurement(float(labels.abs().max()), 1001.0, "largest label")


def conditions(count: int = 3) -> Condition:
    """A condition of every sort: images that are all different, and labels."""
    image = torch.linspace(-1, 1, count * 64, dtype=torch.float64).sin().reshape(count, *IMAGE)
    return Condition(torch.arange(count), image)


def little_data_left(scheduler: Scheduler) -> Measurement:
    """How much of the data is in what sampling takes for noise: alpha / sigma at the end."""
    if scheduler.anchor(conditions()) is not None:
        why = "the data that are left are those that the anchor knows"
        return Measurement(float("nan"), DATA_LEFT, why, measured=False)
    end = ends(scheduler)[1]
    return Measurement(float(scheduler.alpha(end) / scheduler.sigma(end)), DATA_LEFT)


def prior(scheduler: Scheduler) -> Measurement:
    """How far `prior_std` is outside the deviations at the end, without data and with unit data."""
    end = ends(scheduler)[1]
    alpha, sigma, std = scheduler.alpha(end), scheduler.sigma(end), scheduler.prior_std()
    least, most = float(sigma), float(torch.hypot(alpha, sigma))
    return Measurement(max(least - std, std - most) / least, 1e-6, f"{std:g} for {least:g}")


MARGINAL_LAWS: tuple[Law[Scheduler], ...] = (
    Law("alpha and sigma are finite at both ends", finite_marginals),
    Law("functions of time are elementwise", elementwise),
    Law("the signal-to-noise ratio falls strictly", falling_snr),
    Law("log_snr is log(alpha^2 / sigma^2)", closed_log_snr),
    Law("time_of inverts log_snr", inverse_log_snr),
    Law("time_of stays within the process", bounded_inverse),
    Law("float32 agrees with float64", single_precision),
    Law("the noise label tells the noise level", telling_label),
    Law("little data is left at the end", little_data_left),
    Law("sampling starts from the noise of the end", prior),
)
