"""The part of a process that a model knows, where that begins with more noise than the process.

As one that is sampled under another process than it was trained with. Grids, plans and samplers see
a process like any other, which begins at a later time.
"""

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.noise import Noise
from diffx_core.scheduler import Capability, Scheduler


def known(scheduler: Scheduler, t_min: float) -> Scheduler:
    """The process from a time on: itself, if it has none before."""
    return scheduler if t_min <= scheduler.t_min else Known(scheduler, t_min)


@frozen
class Known(Scheduler):
    """A process from a time on.

    Args:
        whole: the process.
        t_min: the time.
    """

    whole: Scheduler
    t_min: float

    @property
    def t_max(self) -> float:
        """That of the process, as everything else."""
        return self.whole.t_max

    def alpha(self, t: Tensor) -> Tensor:
        """How much of the data is left at time t."""
        return self.whole.alpha(t)

    def sigma(self, t: Tensor) -> Tensor:
        """The standard deviation of the noise at time t."""
        return self.whole.sigma(t)

    def alpha_rate(self, t: Tensor) -> Tensor:
        """The time derivative of alpha."""
        return self.whole.alpha_rate(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """The time derivative of sigma."""
        return self.whole.sigma_rate(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2)."""
        return self.whole.log_snr(t)

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """The time derivative of the log-SNR."""
        return self.whole.log_snr_rate(t)

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The time at which the log-SNR has a given value, clamped to [t_min, t_max]."""
        return self.whole.time_of(log_snr).clamp(min=self.t_min)

    def drift(self, t: Tensor) -> Tensor:
        """f(t) of the forward SDE."""
        return self.whole.drift(t)

    def diffusion(self, t: Tensor) -> Tensor:
        """g(t) of the forward SDE."""
        return self.whole.diffusion(t)

    def kernel(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and standard deviation of x_t given x_s."""
        return self.whole.kernel(s, t)

    def prior_std(self) -> float:
        """The standard deviation of the noise that sampling starts from."""
        return self.whole.prior_std()

    def noise_label(self, t: Tensor) -> Tensor:
        """What a network is told about t."""
        return self.whole.noise_label(t)

    def spaced(self, first: float, last: float, count: int) -> Tensor:
        """Times (count,) in steps that are equal to the process."""
        return self.whole.spaced(first, last, count)

    def grid(self) -> Tensor | None:
        """The later ones of all times that a process in discrete time knows."""
        times = self.whole.grid()
        return None if times is None else times[times > self.t_min]

    def noise(self, source: Noise, shape: Sequence[int], step: int) -> Tensor:
        """The noise of the process."""
        return self.whole.noise(source, shape, step)

    def anchor(self, cond: Condition) -> Tensor | None:
        """The point that examples are drawn to."""
        return self.whole.anchor(cond)

    def offers(self) -> frozenset[Capability]:
        """What samplers may rely on."""
        return self.whole.offers()


def cleanest(scheduler: Scheduler, t_min: float) -> float:
    """The log-SNR of the least noise that a model knows, which has seen a process from a time on.

    A model of a process in discrete time has seen none but the times of its table.
    """
    times = scheduler.grid()
    first = t_min if times is None else max(t_min, float(times[0]))
    return float(scheduler.log_snr(torch.tensor(first, dtype=torch.float64)))
