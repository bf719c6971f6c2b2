"""The noise process: two functions of time, from which everything else is derived.

A process carries data x0 to noise along

    x_t = alpha(t) x0 + sigma(t) eps,    eps ~ N(0, I),    t from t_min (data) to t_max (noise).

Drift, diffusion, log-SNR and its inverse, transition kernels and the prior follow from alpha and
sigma:

    f(t)   = alpha'/alpha                      dx = f x dt + g dW
    g(t)^2 = 2 sigma sigma' - 2 f sigma^2
    x_t | x_s ~ N((alpha_t/alpha_s) x_s, sigma_t^2 - (alpha_t/alpha_s)^2 sigma_s^2)

References:
    Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456.
    Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.noise import Noise

Capability = Literal["reverse_sde", "any_time"]
"""What a sampler may need of a process.

reverse_sde: a score, and so a reverse-time SDE with Gaussian noise. any_time: to be known at any
time; this is not claimed, every process without a `grid()` has it.
"""

BISECTIONS = 64
"""Halvings of [t_min, t_max]: more than the 53 bits of a float64."""


def derivative(fn: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """The derivative of an elementwise function at t, in any grad mode."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        t = t.detach().clone().requires_grad_()
        value = fn(t)
        if not value.requires_grad:  # constant in t, like the alpha of a variance-exploding process
            return torch.zeros_like(value)
        (slope,) = torch.autograd.grad(value.sum(), t)
    return slope


class Scheduler(ABC):
    """A noise process. Subclasses are frozen attrs classes with their options.

    An author writes `alpha` and `sigma`; any other method may be replaced by its closed form, which
    the conformance kit holds against the derived one. Every function of time maps a tensor of times
    to a tensor of the same shape, elementwise.

    Three things go beyond a Gaussian path that starts at zero, and are there to be overridden:
    `grid`, the times of a process in discrete time; `anchor`, a prior mean that depends on what an
    example is told; `noise`, another law of eps.

    Examples:
        >>> class Line(Scheduler):
        ...     def alpha(self, t):
        ...         return 1 - t
        ...     def sigma(self, t):
        ...         return t.clone()
        >>> t = torch.tensor([0.25, 0.5], dtype=torch.float64)
        >>> Line().drift(t)
        tensor([-1.3333, -2.0000], dtype=torch.float64)
        >>> Line().log_snr(t)
        tensor([2.1972, 0.0000], dtype=torch.float64)
        >>> Line().time_of(Line().log_snr(t))
        tensor([0.2500, 0.5000], dtype=torch.float64)
    """

    @property
    def t_min(self) -> float:
        """The time of the data."""
        return 0.0

    @property
    def t_max(self) -> float:
        """The time of pure noise."""
        return 1.0

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """How much of the data is left at time t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """The standard deviation of the noise at time t."""

    def alpha_rate(self, t: Tensor) -> Tensor:
        """The time derivative of alpha."""
        return derivative(self.alpha, t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """The time derivative of sigma."""
        return derivative(self.sigma, t)

    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2): strictly falling, infinite where sigma or alpha vanishes."""
        return 2 * (self.alpha(t).log() - self.sigma(t).log())

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """The time derivative of the log-SNR, below zero: -g^2 / sigma^2."""
        return derivative(self.log_snr, t)

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The time at which the log-SNR has a given value, clamped to [t_min, t_max]."""
        low = torch.full_like(log_snr, self.t_min)
        high = torch.full_like(log_snr, self.t_max)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            noisier = self.log_snr(middle) < log_snr
            low, high = torch.where(noisier, low, middle), torch.where(noisier, middle, high)
        return (low + high) / 2

    def drift(self, t: Tensor) -> Tensor:
        """f(t) of the forward SDE dx = f x dt + g dW."""
        return self.alpha_rate(t) / self.alpha(t)

    def diffusion(self, t: Tensor) -> Tensor:
        """g(t) of the forward SDE dx = f x dt + g dW."""
        sigma = self.sigma(t)
        return (2 * sigma * (self.sigma_rate(t) - self.drift(t) * sigma)).clamp(min=0).sqrt()

    def kernel(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and standard deviation of x_t given x_s, for s before t."""
        scale = self.alpha(t) / self.alpha(s)
        variance = self.sigma(t) ** 2 - (scale * self.sigma(s)) ** 2
        return scale, variance.clamp(min=0).sqrt()

    def prior_std(self) -> float:
        """The standard deviation of the noise that sampling starts from."""
        return float(self.sigma(torch.tensor(self.t_max, dtype=torch.float64)))

    def noise_label(self, t: Tensor) -> Tensor:
        """What a network is told about t: a number in about [0, 1000], one for each level."""
        return 1000 * t / self.t_max

    def spaced(self, first: float, last: float, count: int) -> Tensor:
        """Times (count,) from first to last in float64, in equal steps; equal to this process.

        The uniform grid of samplers, and what training goes by where times are not noise levels.
        Equal in time, unless its time needs another scale.
        """
        return torch.linspace(first, last, count, dtype=torch.float64)

    def grid(self) -> Tensor | None:
        """All times that a process in discrete time knows, rising, in float64; otherwise None.

        Training sees no other times, and samplers stop at no others on their way to t_min.
        """
        return None

    def noise(self, source: Noise, shape: Sequence[int], step: int) -> Tensor:
        """The noise eps (B, *shape) of a training step, and of the start of sampling.

        Standard normal. A process that overrides this does not offer `reverse_sde`, whose score
        is that of Gaussian noise.
        """
        return source.normal(shape, step)

    def anchor(self, cond: Condition) -> Tensor | None:
        """The point y (B, *shape) that examples are drawn to, if the condition decides on it.

        The path is then that of x - y: x_t - y = alpha (x0 - y) + sigma eps. None means zero.
        """
        del cond
        return None

    def offers(self) -> frozenset[Capability]:
        """What samplers may rely on. Only a process without Gaussian noise offers less."""
        return frozenset({"reverse_sde"})
