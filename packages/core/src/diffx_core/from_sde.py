"""A process given by its SDE, dx = f(t) x dt + g(t) dW: alpha and sigma by quadrature.

Everything is computed on the CPU and in float64, whatever the times are, and cast at the end. See
`diffx_core.moments` for the integrals.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.moments import Moments, integrate
from diffx_core.scheduler import Scheduler

MOMENT = 1e-9
"""Share of the process after which rates are read that may be infinite at its very start."""
ITERATIONS = 60
"""Of Newton's method, or else of bisection, for the inverse: seldom more than ten are needed."""
CLOSE = 4e-15
"""Relative step at which the inverse is found: rounding of the log-SNR allows no smaller one."""
CHECKED = 33
"""Times, both ends among them, at which drift and diffusion are looked at before integration."""


class SchedulerFromSDE(Scheduler):
    """A noise process of which the author writes `drift` and `diffusion`, and nothing else.

    Both take times (...) in float64 on the CPU and return tensors of the same shape, finite on all
    of [t_min, t_max]. Jumps and kinks are found and resolved; what happens within less than a
    thousandth of the process may be missed. The process starts at t_min, with alpha = 1 and sigma =
    `start_std`; a subclass may assign `t_min`, `t_max` and `start_std` as class attributes, or make
    them fields.

    With start_std = 0 noise sets in as sqrt(t - t_min), so the rate of sigma and of the log-SNR may
    be infinite at t_min: there they are those of a moment later, a 1e-9th of the process.

    Examples:
        >>> class Brownian(SchedulerFromSDE):
        ...     def drift(self, t):
        ...         return torch.zeros_like(t)
        ...     def diffusion(self, t):
        ...         return 3 * torch.ones_like(t)
        >>> Brownian().sigma(torch.tensor([0.25, 1.0], dtype=torch.float64))  # 3 sqrt(t)
        tensor([1.5000, 3.0000], dtype=torch.float64)

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456.
    """

    def __attrs_post_init__(self) -> None:
        """Integrate at once, so that an SDE that cannot be integrated is refused here."""
        _ = self._moments

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
        return self._moments.at(exact(t))[0].exp().to(t)

    def sigma(self, t: Tensor) -> Tensor:
        """The root of the variance."""
        return self._moments.at(exact(t))[1].sqrt().to(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """2 log alpha - log sigma^2."""
        log_alpha, variance = self._moments.at(exact(t))
        return (2 * log_alpha - variance.log()).to(t)

    def alpha_rate(self, t: Tensor) -> Tensor:
        """Drift times alpha."""
        s = exact(t)
        return (self.drift(s) * self._moments.at(s)[0].exp()).to(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """Drift times sigma + g^2 / (2 sigma)."""
        s = self._after_the_start(t)
        sigma = self._moments.at(s)[1].sqrt()
        return (self.drift(s) * sigma + self.diffusion(s) ** 2 / (2 * sigma)).to(t)

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """-g^2 / sigma^2."""
        return self._log_snr_rate(self._after_the_start(t)).to(t)

    @torch.no_grad()
    def time_of(self, log_snr: Tensor) -> Tensor:
        """The root of log_snr(t), bracketed by edges, by Newton's method or else bisection."""
        target = exact(log_snr)
        first, last = target.new_tensor([self.t_min, self.t_max])
        most, least = self.log_snr(torch.stack([first, last]))
        beyond = (target >= most) | (target <= least)
        low, high = self._moments.bracket(target)
        t = (low + high) / 2
        for _ in range(ITERATIONS):
            excess = self.log_snr(t) - target
            low, high = torch.where(excess > 0, t, low), torch.where(excess > 0, high, t)
            newton = t - excess / self._log_snr_rate(t)
            # Asked first: rounding may put the last step outside the bracket.
            found = torch.minimum((newton - t).abs(), high - low) <= CLOSE * t.abs()
            if bool((found | beyond).all()):
                break
            inside = (newton > low) & (newton < high)
            t = torch.where(found, t, torch.where(inside, newton, (low + high) / 2))
        t = torch.where(target >= most, first, torch.where(target <= least, last, t))
        return t.to(log_snr)

    def _log_snr_rate(self, t: Tensor) -> Tensor:
        return -(self.diffusion(t) ** 2) / self._moments.at(t)[1]

    def _after_the_start(self, t: Tensor) -> Tensor:
        return exact(t).clamp(min=self.t_min + MOMENT * (self.t_max - self.t_min))

    @cached_property
    def _moments(self) -> Moments:
        # Ordinary tensors even if the first call comes while sampling: they serve training too.
        with torch.inference_mode(mode=False), torch.no_grad():
            self._check_options()
            self._check_functions()
            name, span = type(self).__name__, (self.t_min, self.t_max)
            return integrate(name, self.drift, self.diffusion, *span, self.start_std)

    def _check_options(self) -> None:
        name, problems = type(self).__name__, []
        if not -math.inf < self.t_min < self.t_max < math.inf:
            problems.append(f"{name}: t_min ({self.t_min:g}) must be below t_max ({self.t_max:g})")
        if not 0 <= self.start_std < math.inf:
            problems.append(f"{name}: start_std must be at least 0, got {self.start_std:g}")
        if problems:
            raise ConfigError(*problems)

    def _check_functions(self) -> None:
        """Refuse functions that are not finite float64 numbers, one for each time."""
        t = torch.linspace(self.t_min, self.t_max, CHECKED, dtype=torch.float64, device="cpu")
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
