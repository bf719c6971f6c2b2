"""Sampling under another process than the one a model was trained with, exactly.

Two Gaussian processes that scale the same data differ at equal log-SNR by a factor alone,

    x_A = r x_B,    r = sqrt((alpha_A^2 + sigma_A^2) / (alpha_B^2 + sigma_B^2)),

so a model of process A, asked at A's time of the same log-SNR about r x, knows both ends of B's
path: they are the same x0 and the same eps.
"""

import math
from collections.abc import Iterable
from functools import cached_property

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.estimate import Decoding, Estimate, from_ends, spread
from diffx_core.known import cleanest
from diffx_core.scheduler import Scheduler

MUCH = 0.1
"""More data than this, against one of noise, is more than a trace: 1 % of the variance."""
SLACK = 0.01
"""Of a log-SNR: half a percent of the noise more or less, which no network can tell."""


def require_swap(trained: Scheduler, other: Scheduler, sigma_data: float = 1.0) -> None:
    """Refuse to sample a model under a process that it cannot be sampled under.

    Args:
        trained: the process of the model.
        other: the one to sample under.
        sigma_data: root mean square of the data.

    Raises:
        ConfigError: they differ in more than alpha and sigma, or the other one ends too early.
    """
    if trained == other:
        return
    pair = f"a model of {type(trained).__name__} cannot be sampled under {type(other).__name__}"
    if not {"reverse_sde"} <= trained.offers() & other.offers():
        raise ConfigError(f"{pair}: their noise has another law")
    if any(type(one).anchor is not Scheduler.anchor for one in (trained, other)):
        raise ConfigError(f"{pair}: their paths lead to other points")
    kept, left = (data_left(one, sigma_data) for one in (trained, other))
    if left > MUCH and left > kept * math.exp(SLACK):
        raise ConfigError(
            f"{pair}: it ends with {left:.2g} times as much data as noise, and noise alone is what "
            "sampling begins with"
        )


def data_left(scheduler: Scheduler, sigma_data: float) -> float:
    """How much of the data stands out of the last noise: alpha sigma_data / sigma at t_max."""
    end = torch.tensor(scheduler.t_max, dtype=torch.float64)
    return float(scheduler.alpha(end) * sigma_data / scheduler.sigma(end))


@frozen(eq=False)
class SwappedProcess:
    """A denoiser of one process, made to speak of another.

    Args:
        inner: the denoiser, of the process that it was trained with.
        scheduler: the process to sample under.

    Examples:
        >>> from diffx_core.testing import GaussianDenoiser
        >>> from diffx_schedulers.edm import EDM
        >>> from diffx_schedulers.vp import VP
        >>> swapped = SwappedProcess(GaussianDenoiser(VP(), std=0.5), EDM())
        >>> swapped.scheduler
        EDM(sigma_min=0.002, sigma_max=80.0)

    References:
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, appendix C.
    """

    inner: Denoiser
    scheduler: Scheduler
    _asked: dict[float, tuple[float, float]] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        require_swap(self.inner.scheduler, self.scheduler, sigma_data=0.0)

    @property
    def t_max(self) -> float:
        """The time at which there is as much noise as the inner denoiser can be asked about."""
        last = torch.tensor(self.inner.t_max, dtype=torch.float64)
        return float(self.scheduler.time_of(self.inner.scheduler.log_snr(last)))

    @cached_property
    def t_min(self) -> float:
        """The time at which there is as little noise as the inner denoiser can be asked about."""
        first = torch.tensor(self.scheduler.t_min, dtype=torch.float64)
        if float(self.scheduler.log_snr(first)) <= self._cleanest + SLACK:
            return self.scheduler.t_min
        least = torch.tensor(self._cleanest, dtype=torch.float64)
        return float(self.scheduler.time_of(least))

    @cached_property
    def _cleanest(self) -> float:
        """The log-SNR of the least noise that the inner denoiser knows."""
        return cleanest(self.inner.scheduler, self.inner.t_min)

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Find the inner times and the factors, and prepare the inner denoiser for them."""
        here = list(times)
        there, factor = self._matched(torch.tensor(here, dtype=torch.float64))
        self._asked.clear()
        self._asked.update(
            zip(here, zip(there.tolist(), factor.tolist(), strict=True), strict=True)
        )
        self.inner.prepare(there.tolist(), device)

    def _matched(self, t: Tensor) -> tuple[Tensor, Tensor]:
        inner, level = self.inner.scheduler, self.scheduler.log_snr(t)
        if bool((level > self._cleanest + SLACK).any()):
            asked, known = (math.exp(-one / 2) for one in (float(level.max()), self._cleanest))
            raise ConfigError(
                f"{type(self.scheduler).__name__} asks about sigma / alpha = {asked:.2g}, and the "
                f"model of {type(inner).__name__} knows nothing below {known:.2g}: take another "
                "grid or fewer steps"
            )
        there = inner.time_of(level)
        size = torch.hypot(self.scheduler.alpha(t), self.scheduler.sigma(t))
        return there, torch.hypot(inner.alpha(there), inner.sigma(there)) / size

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """Both ends of this process's path through x."""
        there: float | Tensor
        factor: float | Tensor
        if isinstance(t, Tensor):
            there, factor = self._matched(t)
            scaled = x * spread(factor.to(x), x)
        else:
            if t not in self._asked:
                found, ratio = self._matched(torch.tensor(t, dtype=torch.float64))
                self._asked[t] = float(found), float(ratio)
            there, factor = self._asked[t]
            scaled = x if factor == 1 else x * factor
        estimate = self.inner(scaled, there, cond)
        if estimate.x is not scaled:  # its two ends do not meet in x, as those of CFG++
            return from_ends(estimate.x0, estimate.eps)
        x0_x, x0_f, eps_x, eps_f = estimate.decoding
        return Estimate(x, estimate.output, Decoding(x0_x * factor, x0_f, eps_x * factor, eps_f))
