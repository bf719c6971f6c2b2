"""What must hold of the SDE: closed forms follow from alpha and sigma, marginals from the SDE."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffx_core.scheduler import Scheduler, derivative
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.times import ends, interior, intervals, relative, strictly

PANELS = 1000
"""Panels of an integral over time: their error, of the eighth order, is lost in rounding."""
HALVINGS = 40
"""How often a panel is halved at most: a jump is then where rounding would put it."""
SMOOTH = 1e-10
"""How far two rules may be apart in a panel, as a share of the integral up to there."""
FEW = 32
"""Panels in which there is a jump or a kink; a function that has more of them is not mended."""
EULER_STEPS = 500
"""Steps of the coarser of two Euler-Maruyama runs; the finer one has twice as many."""
GAUSS = torch.tensor(
    [
        [0.8611363115940526, 0.3399810435848563, -0.3399810435848563, -0.8611363115940526],
        [0.3478548451374538, 0.6521451548625461, 0.6521451548625461, 0.3478548451374538],
    ],
    dtype=torch.float64,
)
"""Nodes and weights of the Gauss-Legendre rule of four points, none of which is an end."""
LOBATTO = torch.tensor(
    [[1, (3 / 7) ** 0.5, 0, -((3 / 7) ** 0.5), -1], [1 / 10, 49 / 90, 32 / 45, 49 / 90, 1 / 10]],
    dtype=torch.float64,
)
"""Those of the Gauss-Lobatto rule, of the same order, of which both ends are."""


def rates(scheduler: Scheduler) -> Measurement:
    """`alpha_rate`, `sigma_rate`, `log_snr_rate` against the derivatives of their functions."""
    t = interior(scheduler)
    figures = {
        "alpha_rate": relative(scheduler.alpha_rate(t), derivative(scheduler.alpha, t)),
        "sigma_rate": relative(scheduler.sigma_rate(t), derivative(scheduler.sigma, t)),
        "log_snr_rate": relative(scheduler.log_snr_rate(t), derivative(scheduler.log_snr, t)),
    }
    worst = max(figures, key=lambda name: figures[name])
    return Measurement(figures[worst], 1e-8, worst)


def sde(scheduler: Scheduler) -> Measurement:
    """`drift` against alpha'/alpha, and `diffusion` squared against both of its definitions.

    2 sigma sigma' - 2 f sigma^2 and -sigma^2 d(log-SNR)/dt.
    """
    t = interior(scheduler)
    alpha, sigma = scheduler.alpha(t), scheduler.sigma(t)
    drift = derivative(scheduler.alpha, t) / alpha
    squared = 2 * sigma * (derivative(scheduler.sigma, t) - drift * sigma)
    falling = -(sigma**2) * derivative(scheduler.log_snr, t)
    diffusion = scheduler.diffusion(t)
    figures = {
        "f": relative(scheduler.drift(t), drift),
        "g^2": relative(diffusion**2, squared),
        "-sigma^2 d(log-SNR)/dt": relative(diffusion**2, falling),
        "the sign of g": float("inf") if bool((diffusion < 0).any()) else 0.0,
    }
    worst = max(figures, key=lambda name: figures[name])
    return Measurement(figures[worst], 1e-8, worst)


def integrals(fn: Callable[[Tensor], Tensor], edges: Tensor, rule: Tensor = GAUSS) -> Tensor:
    """The integrals of fn between neighbouring edges."""
    nodes, weights = rule[0], rule[1]
    half, middle = edges.diff() / 2, (edges[1:] + edges[:-1]) / 2
    values = fn((middle[:, None] + half[:, None] * nodes).flatten()).reshape(-1, len(nodes))
    return values @ weights * half


def cut(fn: Callable[[Tensor], Tensor], edges: Tensor) -> Tensor:
    """The edges, and more of them around the jumps and kinks of fn.

    A panel is halved for as long as two rules disagree there; wherever in it a jump is, they do.
    """
    for _ in range(HALVINGS):
        found = integrals(fn, edges)
        rough = (integrals(fn, edges, LOBATTO) - found).abs() > SMOOTH * found.abs().cumsum(0)
        if not 0 < int(rough.sum()) <= FEW:
            break
        middle = (edges[1:] + edges[:-1]) / 2
        edges = torch.cat([edges, middle[rough]]).sort().values
    return edges


def integral(fn: Callable[[Tensor], Tensor], edges: Tensor) -> Tensor:
    """The integrals of fn from the first edge to each of the others."""
    finer = cut(fn, edges)
    return integrals(fn, finer).cumsum(0)[torch.searchsorted(finer, edges[1:]) - 1]


def moments(scheduler: Scheduler) -> Measurement:
    """Mean and variance of dx = f x dt + g dW, integrated over time, against alpha and sigma.

    The mean obeys m' = f m, the variance V' = 2 f V + g^2.
    """
    edges = intervals(scheduler, PANELS)
    alpha, sigma = scheduler.alpha(edges), scheduler.sigma(edges)
    mean = integral(scheduler.drift, edges).exp()
    grown = integral(lambda t: (scheduler.diffusion(t) / scheduler.alpha(t)) ** 2, edges)
    variance = alpha[1:] ** 2 * ((sigma[0] / alpha[0]) ** 2 + grown)
    error = max(strictly(mean, alpha[1:] / alpha[0]), strictly(variance, sigma[1:] ** 2))
    return Measurement(error, 1e-7)


def euler(scheduler: Scheduler, edges: Tensor) -> tuple[Tensor, Tensor]:
    """The exact mean (for x0 = 1) and variance after each step of Euler-Maruyama.

    m' = (1 + f dt) m and V' = (1 + f dt)^2 V + g^2 dt, from alpha and sigma^2 at the first edge.
    """
    t, dt = edges[:-1], edges.diff()
    growth = (1 + scheduler.drift(t) * dt).cumprod(0)
    start = edges[0]
    added = (scheduler.diffusion(t) ** 2 * dt / growth**2).cumsum(0)
    return scheduler.alpha(start) * growth, growth**2 * (scheduler.sigma(start) ** 2 + added)


def euler_maruyama(scheduler: Scheduler) -> Measurement:
    """What the error of Euler-Maruyama lacks of the first order, for 500 and 1000 steps.

    The moments of its paths are known exactly, so that no path need be drawn.
    """
    coarse = intervals(scheduler, EULER_STEPS)
    fine = torch.cat([coarse, (coarse[1:] + coarse[:-1]) / 2]).sort().values
    errors = []
    for edges in (coarse, fine):
        mean, variance = euler(scheduler, edges)
        alpha, sigma = scheduler.alpha(edges[1:]), scheduler.sigma(edges[1:])
        errors.append(max(strictly(mean, alpha), strictly(variance, sigma**2)))
    if errors[0] < 1e-9:  # it is exact where neither f nor g changes, as for Brownian motion
        return Measurement(errors[0], 0.15, "exact")
    slope = math.log2(errors[0] / errors[1])
    return Measurement(1 - slope, 0.15, f"order {slope:.2f}, error {errors[1]:.2g}")


def kernels(scheduler: Scheduler) -> Measurement:
    """The kernel from s to t against the marginals at s and t, and against the way through u.

    Variances are compared as shares of that at t, of which the kernel's own may be a small part.
    """
    times = torch.cat([ends(scheduler), interior(scheduler, 33)]).sort().values
    worst = 0.0
    for gap in {1, len(times) // 8, len(times) // 2 - 1} - {0}:
        s, u, t = times[: -2 * gap], times[gap:-gap], times[2 * gap :]
        scale, std = scheduler.kernel(s, t)
        (first, first_std), (second, second_std) = scheduler.kernel(s, u), scheduler.kernel(u, t)
        whole = scheduler.sigma(t) ** 2
        errors = (
            (scale * scheduler.alpha(s) - scheduler.alpha(t)) / scheduler.alpha(s),
            ((scale * scheduler.sigma(s)) ** 2 + std**2 - whole) / whole,
            first * second - scale,
            ((second * first_std) ** 2 + second_std**2 - std**2) / whole,
        )
        worst = max(worst, float(torch.cat(errors).abs().nan_to_num(torch.inf).max()))
    return Measurement(worst, 1e-12)


SDE_LAWS: tuple[Law[Scheduler], ...] = (
    Law("rates are the derivatives", rates),
    Law("drift and diffusion follow from alpha and sigma", sde),
    Law("the SDE reproduces the marginals", moments),
    Law("Euler-Maruyama converges to the marginals", euler_maruyama),
    Law("kernels carry the marginals and form a semigroup", kernels),
)
