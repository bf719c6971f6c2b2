"""Where in time a process is measured, and how far two answers are apart.

Log-SNRs are those of noise ratios sigma / alpha from 1/1000 to 1000, within the process. A process
in discrete time has a kink at each of its times, so no measurement stands on one and no interval
of an integral goes across.
"""

import torch
from torch import Tensor

from diffx_core.grids import FINITE_LOG_SNR
from diffx_core.scheduler import Scheduler

MARGIN = 1e-3
"""Share of the time interval that is left out at either end, where a process may be singular."""
CELL_MARGIN = 0.05
"""Share of the time between two kinks that is left out at either end."""


def ends(scheduler: Scheduler) -> Tensor:
    """The first and the last time."""
    return torch.tensor([scheduler.t_min, scheduler.t_max], dtype=torch.float64)


def span(scheduler: Scheduler) -> float:
    """How long the process takes."""
    return scheduler.t_max - scheduler.t_min


def levels(scheduler: Scheduler, count: int) -> Tensor:
    """Rising times, equally far apart in log-SNR. The inverse is the derived one: no law's own."""
    high, low = scheduler.log_snr(ends(scheduler)).clamp(-FINITE_LOG_SNR, FINITE_LOG_SNR).tolist()
    return Scheduler.time_of(scheduler, torch.linspace(high, low, count, dtype=torch.float64))


def kinks(scheduler: Scheduler) -> Tensor:
    """The ends, and the times of a process in discrete time."""
    known = scheduler.grid()
    bounds = ends(scheduler)
    if known is None:
        return bounds
    known = known[(known > bounds[0]) & (known < bounds[1])]
    return torch.cat([bounds[:1], known.to(bounds), bounds[1:]]).sort().values


def interior(scheduler: Scheduler, count: int = 257) -> Tensor:
    """Rising times inside the process: half equally far apart in time, half in log-SNR."""
    margin = MARGIN * span(scheduler)
    even = torch.linspace(
        scheduler.t_min + margin, scheduler.t_max - margin, count // 2, dtype=torch.float64
    )
    times = torch.cat([even, levels(scheduler, count - count // 2 + 2)[1:-1]])
    edges = kinks(scheduler)
    after = torch.bucketize(times, edges).clamp(1, len(edges) - 1)
    low, high = edges[after - 1], edges[after]
    room = CELL_MARGIN * (high - low)
    if len(edges) > 2:
        times = torch.minimum(torch.maximum(times, low + room), high - room)
    times = times.sort().values
    steps = torch.cat([times.new_tensor([torch.inf]), times.diff()])
    return times[steps > 1e-7 * span(scheduler)]


def intervals(scheduler: Scheduler, count: int) -> Tensor:
    """Edges of about `count` intervals of equal log-SNR, cut wherever there is a kink."""
    edges = levels(scheduler, count + 1)
    cuts = kinks(scheduler)
    edges = torch.cat([edges, cuts[(cuts > edges[0]) & (cuts < edges[-1])]]).sort().values
    return edges[torch.cat([edges.new_tensor([1.0]), edges.diff()]) > 0]


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the value plus 1/1000 of the mean magnitude."""
    scale = expected.abs() + 1e-3 * expected.abs().mean() + torch.finfo(torch.float64).tiny
    return float(((found - expected).abs() / scale).max())


def strictly(found: Tensor, expected: Tensor) -> float:
    """The largest relative difference between numbers above zero."""
    return float((found / expected - 1).abs().max())


def apart(found: Tensor, expected: Tensor) -> float:
    """The largest difference relative to 1 + the value, zero between equal infinities."""
    error = (found - expected).abs() / (1 + expected.abs())
    return float(torch.where(found == expected, 0.0, error).nan_to_num(torch.inf).max())
