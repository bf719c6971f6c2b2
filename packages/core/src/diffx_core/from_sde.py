"""A process given by its SDE: alpha and sigma by quadrature, to the accuracy of float64.

The author writes f and g of

    dx = f(t) x dt + g(t) dW,    x = x0 + start_std eps at t_min,

and the two functions of time follow:

    log alpha(t) = int f,    sigma(t)^2 = alpha(t)^2 (start_std^2 + int g^2 / alpha^2).

Time is cut into panels, short enough for f and g to be polynomials of degree 15 to rounding. What
has been gathered up to each edge is kept; inside a panel, Gauss quadrature runs from its edge to t.
The variance is carried from edge to edge, every term of it positive, so that nothing cancels.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.polynomial import legendre
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.scheduler import Scheduler

NODES = 16
"""Of each panel: exact for polynomials of degree 31, and for alpha inside of degree 15."""
PANELS = 32
"""At the beginning; those whose halves give another integral are cut in two."""
MAX_PANELS = 4096
DRIFT_TOLERANCE = 2e-15
"""Of log alpha, for each panel, absolute and relative."""
VARIANCE_TOLERANCE = 1e-14
"""Of sigma^2, for each panel, relative."""
LEAST_VARIANCE = 1e-8
"""Below this share of the largest variance, the tolerance is absolute."""
MOMENT = 1e-9
"""Share of the process after which rates are read that may be infinite at its very start."""
CLOSE = 4e-15
"""Relative step at which the inverse is found: rounding of the log-SNR allows no smaller one."""
ITERATIONS = 60
"""Of Newton's method, or else of bisection, for the inverse: seldom more than ten are needed."""


def gauss(nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss-Legendre nodes and weights on [0, 1], and the integrals from 0 to each node.

    Row j of the matrix gives the integral from 0 to node j of the interpolating polynomial.
    """
    x, w = legendre.leggauss(nodes)
    basis = legendre.legvander(x, nodes - 1)
    coefficients = basis.T * w * (np.arange(nodes) + 0.5)[:, None]
    antiderivative = np.stack(
        [legendre.legval(x, legendre.legint(row, lbnd=-1)) for row in np.eye(nodes)], axis=1
    )
    found = (x + 1) / 2, w / 2, antiderivative @ coefficients / 2
    return tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in found)  # type: ignore[return-value] # three


class Growth(NamedTuple):
    """What happens between two times: log alpha changes, and variance comes in.

    Args:
        drift: the integral of f.
        noise: the integral of g^2 / alpha^2, with alpha = 1 at the first of the two times.
    """

    drift: Tensor
    noise: Tensor


class Panels(NamedTuple):
    """The process at the edges of its panels, all (P + 1,) in float64.

    Args:
        edges: rising times.
        log_alpha: log alpha there.
        variance: sigma^2 there.
    """

    edges: Tensor
    log_alpha: Tensor
    variance: Tensor


class SchedulerFromSDE(Scheduler):
    """A noise process of which the author writes `drift` and `diffusion`, and nothing else.

    Both take times (...) in float64 on the CPU and return tensors of the same shape, finite on all
    of [t_min, t_max]. Jumps and kinks are found and resolved. The process starts at t_min, with
    alpha = 1 and sigma = `start_std`; a subclass may assign `t_min`, `t_max` and `start_std` as
    class attributes, or make them fields.

    With start_std = 0 noise sets in as sqrt(t - t_min), so the rate of sigma and of the log-SNR may
    be infinite at t_min: there they are those of a moment later, a 1e-9th of the process.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456.
        Sarkka & Solin, Applied Stochastic Differential Equations, 2019, section 6.1 (moments).
    """

    def __attrs_post_init__(self) -> None:
        """Integrate at once, so that an SDE that cannot be integrated is refused here."""
        _ = self._panels

    @property
    def start_std(self) -> float:
        """The standard deviation of the noise at t_min."""
        return 0.0

    @abstractmethod
    def drift(self, t: Tensor) -> Tensor:
        """f(t) of the forward SDE dx = f x dt + g dW."""

    @abstractmethod
    def diffusion(self, t: Tensor) -> Tensor:
        """g(t) of the forward SDE dx = f x dt + g dW; not negative."""

    def alpha(self, t: Tensor) -> Tensor:
        """The exponential of the integral of f."""
        return self._log_marginal(t)[0].exp().to(t)

    def sigma(self, t: Tensor) -> Tensor:
        """The root of the variance."""
        return self._log_marginal(t)[1].sqrt().to(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """2 log alpha - log sigma^2."""
        log_alpha, variance = self._log_marginal(t)
        return (2 * log_alpha - variance.log()).to(t)

    def alpha_rate(self, t: Tensor) -> Tensor:
        """Drift times alpha."""
        return (self.drift(exact(t)) * self._log_marginal(t)[0].exp()).to(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """Drift times sigma + g^2 / (2 sigma)."""
        s = self._after_the_start(t)
        sigma = self._log_marginal(s)[1].sqrt()
        return (self.drift(s) * sigma + self.diffusion(s) ** 2 / (2 * sigma)).to(t)

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """-g^2 / sigma^2."""
        s = self._after_the_start(t)
        return (-(self.diffusion(s) ** 2) / self._log_marginal(s)[1]).to(t)

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The root of log_snr(t), bracketed by two edges, by Newton's method or bisection."""
        panels = self._panels
        with torch.no_grad():
            target = exact(log_snr)
            levels = 2 * panels.log_alpha - panels.variance.log()
            last = len(levels) - 2
            panel = (torch.searchsorted(-levels, -target, right=True) - 1).clamp(0, last)
            low, high = panels.edges[panel], panels.edges[panel + 1]
            t = (low + high) / 2
            for _ in range(ITERATIONS):
                excess = self.log_snr(t) - target
                low, high = torch.where(excess > 0, t, low), torch.where(excess > 0, high, t)
                newton = t - excess / self.log_snr_rate(t)
                inside = (newton >= low) & (newton <= high)
                before, t = t, torch.where(inside, newton, (low + high) / 2)
                if bool(((t - before).abs() <= CLOSE * t.abs()).all()):
                    break
            t = torch.where(target >= levels[0], panels.edges[0], t)
            t = torch.where(target <= levels[-1], panels.edges[-1], t)
            return t.to(log_snr)

    def _log_marginal(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Log alpha and sigma^2 at t, in float64 on the CPU; differentiable."""
        panels = self._panels
        s = exact(t).clamp(self.t_min, self.t_max)
        last = len(panels.edges) - 2
        panel = (torch.bucketize(s.detach(), panels.edges, right=True) - 1).clamp(0, last)
        growth = self._growth(panels.edges[panel], s)
        return (
            panels.log_alpha[panel] + growth.drift,
            (2 * growth.drift).exp() * (panels.variance[panel] + growth.noise),
        )

    def _after_the_start(self, t: Tensor) -> Tensor:
        return exact(t).clamp(min=self.t_min + MOMENT * (self.t_max - self.t_min))

    def _growth(self, low: Tensor, high: Tensor) -> Growth:
        """What happens from `low` to `high`, elementwise, by one Gauss quadrature."""
        nodes, weights, to_node = self._gauss
        width = (high - low)[..., None]
        t = low[..., None] + width * nodes
        drift = self.drift(t) * width
        noise = self.diffusion(t) ** 2 * (-2 * (drift @ to_node.T)).exp() * width
        return Growth(drift @ weights, noise @ weights)

    @cached_property
    def _gauss(self) -> tuple[Tensor, Tensor, Tensor]:
        with torch.inference_mode(mode=False):
            return gauss(NODES)

    @cached_property
    def _panels(self) -> Panels:
        self._check_options()
        # Ordinary tensors even if the first call comes while sampling: they serve training too.
        with torch.inference_mode(mode=False), torch.no_grad():
            edges = torch.linspace(self.t_min, self.t_max, PANELS + 1, dtype=torch.float64)
            while True:
                panels, coarse = self._integrate(edges)
                if not bool(coarse.any()):
                    return panels
                cuts = (edges[1:] + edges[:-1])[coarse] / 2
                finer = torch.cat([edges, cuts]).unique()
                # Between two neighbours of float64 there is nothing to cut.
                if len(finer) > MAX_PANELS or len(finer) == len(edges):
                    raise ConfigError(
                        f"{type(self).__name__}: the integrals of drift and diffusion do not "
                        f"converge near t = {float(cuts[0]):.6g}; smooth them there, or let the "
                        "process end before"
                    )
                edges = finer

    def _integrate(self, edges: Tensor) -> tuple[Panels, Tensor]:
        """The process at the edges, and (P,) which panels are too wide."""
        self._check(edges)
        low, high = edges[:-1], edges[1:]
        middle = (low + high) / 2
        whole = self._growth(low, high)
        first, second = self._growth(low, middle), self._growth(middle, high)
        drift = first.drift + second.drift
        noise = first.noise + (-2 * first.drift).exp() * second.noise
        log_alpha = torch.cat([drift.new_zeros(1), drift.cumsum(0)])
        kept = (2 * drift).exp()
        carried = [self.start_std**2]
        for share, grown in zip(kept.tolist(), noise.tolist(), strict=True):
            carried.append(share * (carried[-1] + grown))
        variance = torch.tensor(carried, dtype=torch.float64)
        # Written so that NaN is coarse: what overflows in a wide panel may not in a narrow one.
        good = (whole.drift - drift).abs() < DRIFT_TOLERANCE * (1 + log_alpha[1:].abs())
        floor = LEAST_VARIANCE * variance.max().nan_to_num(0, 0).clamp(max=1)
        allowed = VARIANCE_TOLERANCE * torch.maximum(variance[1:], floor)
        good &= kept * (whole.noise - noise).abs() <= allowed
        return Panels(edges, log_alpha, variance), ~good

    def _check_options(self) -> None:
        name, problems = type(self).__name__, []
        if not -np.inf < self.t_min < self.t_max < np.inf:
            problems.append(f"{name}: t_min ({self.t_min:g}) must be below t_max ({self.t_max:g})")
        if not 0 <= self.start_std < np.inf:
            problems.append(f"{name}: start_std must be at least 0, got {self.start_std:g}")
        if problems:
            raise ConfigError(*problems)

    def _check(self, t: Tensor) -> None:
        """Refuse functions that are not finite float64 numbers, one for each time."""
        functions: dict[str, Callable[[Tensor], object]] = {
            "drift": self.drift,
            "diffusion": self.diffusion,
        }
        problems = []
        for name, function in functions.items():
            value, where = function(t), f"{type(self).__name__}: {name}(t)"
            if not isinstance(value, Tensor) or value.shape != t.shape or value.dtype != t.dtype:
                problems.append(f"{where} must return a tensor like t: of its shape, in {t.dtype}")
            elif not value.isfinite().all():
                problems.append(
                    f"{where} is not finite at t = {float(t[~value.isfinite()][0]):g}; let the "
                    "process end before, or write alpha and sigma instead"
                )
            elif name == "diffusion" and bool((value < 0).any()):
                problems.append(f"{where} is below zero at t = {float(t[value < 0][0]):g}")
        if problems:
            raise ConfigError(*problems)


def exact(t: Tensor) -> Tensor:
    """The same numbers in float64 on the CPU."""
    return t.to("cpu", torch.float64)
