"""How probable a model finds data, by the probability-flow ODE.

In the coordinates y = x / (alpha + sigma), s = sigma / (alpha + sigma), every process is straight
lines from data to noise, y = (1 - s) x0 + s eps, and its flow is dy/ds = eps - x0, finite at both
ends. Along it the density changes by the divergence,

    log p(x) = log p_T(y_T) + int div(eps - x0) ds - d log(alpha + sigma),

which the classical Runge-Kutta method integrates with a fixed number of network calls, so that
processes on different machines cannot drift apart.

References:
    Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456, section 4.3.
    Grathwohl et al., FFJORD, 2019, arXiv:1810.01367 (Hutchinson's estimate).
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import torch
from attrs import field, frozen
from attrs.validators import ge
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.grids import FINITE_LOG_SNR
from diffx_core.noise import Noise
from diffx_core.options import one_of

MOST_DIMENSIONS = 64
"""Of an exact trace, which costs one backward pass for each."""

Trace = Literal["exact", "hutchinson"]


class LogLikelihood(NamedTuple):
    """What was found, for each example (B,), in nats.

    Args:
        total: log p(x), with the prior in place of the process's own law at its last time.
        prior: what that may have cost: the Kullback-Leibler divergence of x_T given x0 from it.
        latent: (B, *) where the flow leads: x at the last time.
        dimensions: of one example.
    """

    total: Tensor
    prior: Tensor
    latent: Tensor
    dimensions: int

    def bits_per_dim(self, offset: float) -> Tensor:
        """-log2 p / d + offset, where the offset undoes the scaling of dequantised data."""
        return -self.total / (math.log(2) * self.dimensions) + offset


def offset(value_range: tuple[float, float], levels: int) -> float:
    """Bits that a density over the range has fewer than a probability of one of its levels.

    Data of `levels` values, each moved by uniform noise into a cell of its own: 7 for bytes scaled
    to [-1, 1], 8 for bytes scaled to [0, 1].
    """
    low, high = value_range
    return math.log2(levels / (high - low))


class Stage(NamedTuple):
    """A point on the way: its time and its coordinates."""

    t: float
    alpha: float
    sigma: float

    @property
    def size(self) -> float:
        """What x is divided by."""
        return self.alpha + self.sigma

    @property
    def s(self) -> float:
        """The time of straight lines."""
        return self.sigma / self.size


@frozen(kw_only=True)
class Likelihood:
    """The method.

    Args:
        steps: Runge-Kutta steps, of four network calls each.
        trace: exact for few dimensions; hutchinson estimates it without bias from random signs.
    """

    steps: int = field(default=50, validator=ge(1))
    trace: Trace = field(default="hutchinson", validator=one_of(get_args(Trace)))

    @property
    def nfe(self) -> int:
        """Network calls, each with one backward pass (or d of them)."""
        return 4 * self.steps

    def __call__(
        self, denoiser: Denoiser, x: Tensor, noise: Noise, cond: Condition | None = None
    ) -> LogLikelihood:
        """The log-likelihood of x (B, *), with the little noise of the first time added to it.

        That is the density of x_t / alpha at that time, which a process that scales the data down
        by then gives as one that does not.

        Args:
            denoiser: the model.
            x: data.
            noise: the random signs, one stream for each example.
            cond: what the model is told.
        """
        dimensions = x[0].numel()
        if self.trace == "exact" and dimensions > MOST_DIMENSIONS:
            raise ConfigError(
                f"an exact trace of {dimensions} dimensions takes as many backward passes a call; "
                f"it is allowed up to {MOST_DIMENSIONS}: use hutchinson"
            )
        stages = list(self._stages(denoiser))
        denoiser.prepare([stage.t for stage in stages], x.device)
        anchor = denoiser.scheduler.anchor(cond or Condition())
        data = x if anchor is None else x - anchor
        first, last = stages[0], stages[-1]
        signs = noise.normal(x.shape[1:], 0).to(x).sign()
        shrunk = first.alpha / first.size
        y, gained = data * shrunk, torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for i in range(self.steps):
            here, middle, there = stages[2 * i : 2 * i + 3]
            h = there.s - here.s
            u1, d1 = self._slope(denoiser, y, here, signs, cond)
            u2, d2 = self._slope(denoiser, y + h / 2 * u1, middle, signs, cond)
            u3, d3 = self._slope(denoiser, y + h / 2 * u2, middle, signs, cond)
            u4, d4 = self._slope(denoiser, y + h * u3, there, signs, cond)
            y = y + h / 6 * (u1 + 2 * u2 + 2 * u3 + u4)
            gained = gained + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
        std = last.sigma / last.size
        log_prior = -(y / std).square().flatten(1).sum(1) / 2
        log_prior = log_prior - dimensions * (math.log(std) + math.log(2 * math.pi) / 2)
        total = log_prior + gained + dimensions * math.log(shrunk)
        mismatch = (last.alpha / last.sigma * data).square().flatten(1).sum(1) / 2
        return LogLikelihood(total, mismatch, y * last.size, dimensions)

    def _stages(self, denoiser: Denoiser) -> Iterator[Stage]:
        """Ends and middles of all steps: equal in log-SNR, each middle halfway in s.

        The last step goes to the very end, however far that is; the flow is finite there.
        """
        scheduler = denoiser.scheduler
        ends = torch.tensor([denoiser.t_min, denoiser.t_max], dtype=torch.float64)
        high, low = scheduler.log_snr(ends).clamp(-FINITE_LOG_SNR, FINITE_LOG_SNR).tolist()
        levels = torch.linspace(high, low, self.steps + 1, dtype=torch.float64)
        shares = (-levels / 2).sigmoid().tolist()
        shares[-1] = float((-scheduler.log_snr(ends[1]) / 2).sigmoid())
        between = [[a, (a + b) / 2] for a, b in pairwise(shares)]
        s = torch.tensor([one for pair in between for one in pair] + shares[-1:]).double()
        t = scheduler.time_of(2 * ((-s).log1p() - s.log()))
        columns = t.tolist(), scheduler.alpha(t).tolist(), scheduler.sigma(t).tolist()
        return map(Stage, *columns)

    def _slope(
        self, denoiser: Denoiser, y: Tensor, stage: Stage, signs: Tensor, cond: Condition | None
    ) -> tuple[Tensor, Tensor]:
        """dy/ds = eps - x0, and its divergence for each example."""
        with torch.enable_grad():
            leaf = y.detach().requires_grad_()
            slope = denoiser(leaf * stage.size, stage.t, cond).mix(-1.0, 1.0)
            if self.trace == "hutchinson":
                (pulled,) = torch.autograd.grad(slope, leaf, signs)
                return slope.detach(), (pulled * signs).flatten(1).sum(1)
            flat = slope.flatten(1)
            divergence = torch.zeros(len(y), dtype=y.dtype, device=y.device)
            for k in range(flat.shape[1]):
                (pulled,) = torch.autograd.grad(flat[:, k].sum(), leaf, retain_graph=True)
                divergence += pulled.flatten(1)[:, k]
        return slope.detach(), divergence
