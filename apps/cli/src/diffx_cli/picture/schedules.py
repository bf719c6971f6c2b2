"""A process as curves: what a picture of it is drawn from. All tensors are float64."""

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.errors import ConfigError, PluginError
from diffx_core.objective import Objective
from diffx_core.plugins.isolation import IsolatedError, isolated
from diffx_core.scheduler import Scheduler

POINTS = 601
"""Times at equal distances, and as many at equal steps of the log-SNR."""
FARTHEST = 20.0
"""The largest log-SNR that is looked at; beyond, float32 sees pure data or pure noise."""

RARE = 1e-3
"""A level is looked at very rarely if its density is below this share of the largest."""


@frozen(eq=False)
class Curves:
    """The functions of a process, and what an objective makes of it.

    Args:
        label: what the picture calls it.
        span: its first and its last time.
        t: rising times.
        even: which of them are at equal distances.
        alpha: at these times, as the following five.
        sigma: the standard deviation of the noise.
        log_snr: infinite at a singular end.
        drift: f.
        diffusion: g.
        levels: falling log-SNRs at which the objective was looked at.
        weight: the effective weight there, as a share of its largest value where training looks.
        density: of the levels that training sees, per unit of log-SNR.
    """

    label: str
    span: tuple[float, float]
    t: Tensor
    even: Tensor
    alpha: Tensor
    sigma: Tensor
    log_snr: Tensor
    drift: Tensor
    diffusion: Tensor
    levels: Tensor
    weight: Tensor
    density: Tensor

    @property
    def seen(self) -> Tensor:
        """At which levels training looks more than very rarely."""
        return common(self.density)

    @property
    def share(self) -> Tensor:
        """The times as shares of the process."""
        low, high = self.span
        return (self.t - low) / (high - low)


def curves_of(label: str, scheduler: Scheduler, objective: Objective, sigma_data: float) -> Curves:
    """Look at a process.

    Args:
        label: what the picture calls it.
        scheduler: the process.
        objective: what is learned.
        sigma_data: root mean square of the data.

    Raises:
        ConfigError: the objective does not suit the process.
        PluginError: the process fails.
    """
    try:
        with isolated(label):
            return _curves(label, scheduler, objective, sigma_data)
    except IsolatedError as failure:
        if isinstance(failure.__cause__, ConfigError):
            raise ConfigError(str(failure)) from failure
        raise PluginError(str(failure)) from failure


def _curves(label: str, scheduler: Scheduler, objective: Objective, sigma_data: float) -> Curves:
    low, high = scheduler.t_min, scheduler.t_max
    even = torch.linspace(low, high, POINTS, dtype=torch.float64)
    # A process whose noise grows over many orders of magnitude passes most levels in little time.
    levels = torch.linspace(FARTHEST, -FARTHEST, POINTS, dtype=torch.float64)
    t = torch.cat([even, scheduler.time_of(levels)]).unique()
    seen = t if (grid := scheduler.grid()) is None else grid
    log_snr = scheduler.log_snr(seen)
    seen = seen[log_snr.isfinite() & (log_snr.abs() <= FARTHEST)]
    chance = objective.density(scheduler, sigma_data).log_prob(seen).exp()
    density = chance / scheduler.log_snr_rate(seen).abs()
    weight = objective.effective_weight(scheduler, sigma_data, seen)
    return Curves(
        label=label,
        span=(low, high),
        t=t,
        even=torch.isin(t, even),
        alpha=scheduler.alpha(t),
        sigma=scheduler.sigma(t),
        log_snr=scheduler.log_snr(t),
        drift=scheduler.drift(t),
        diffusion=scheduler.diffusion(t),
        levels=scheduler.log_snr(seen),
        weight=weight / weight[common(density)].max(),
        density=density,
    )


def common(density: Tensor) -> Tensor:
    """Where a density is above a small share of its largest value."""
    return density > RARE * density[density.isfinite()].max()
