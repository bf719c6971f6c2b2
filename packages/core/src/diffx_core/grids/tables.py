"""Grids that are written down: values of sigma / alpha, for any number of steps.

Between the values of a table, log(sigma / alpha) is linear in the step. A process whose range is
shorter than the table's gets it compressed to its range.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from diffx_core.grids.spacing import FINITE_LOG_SNR
from diffx_core.scheduler import Scheduler

AYSTable = Literal["sd15", "sdxl", "svd"]

AYS: dict[AYSTable, tuple[float, ...]] = {
    "sd15": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    "svd": (700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}
"""Ten steps, optimised for Stable Diffusion 1.5, SDXL and Stable Video Diffusion."""


def ays(scheduler: Scheduler, steps: int, t_max: float, table: AYSTable = "sd15") -> Tensor:
    """The steps that were found best for a large model: few at much noise and at little.

    References:
        Sabour et al., Align Your Steps, 2024, arXiv:2404.14507.
    """
    return ratios(scheduler, steps, t_max, AYS[table])


def ratios(scheduler: Scheduler, steps: int, t_max: float, values: Sequence[float]) -> Tensor:
    """Steps at given values of sigma / alpha, interpolated if there are more or fewer steps.

    The first step begins at the latest time, whatever the first value is. The last value is where
    the last step would end if it did not land on clean data.
    """
    level = interpolated(torch.tensor(values, dtype=torch.float64).log(), steps)
    ends = torch.tensor([t_max, scheduler.t_min], dtype=torch.float64)
    known = (-scheduler.log_snr(ends) / 2).clamp(-FINITE_LOG_SNR / 2, FINITE_LOG_SNR / 2)
    high, low = math.log(values[0]), math.log(values[-1])
    top, bottom = min(high, float(known[0])), max(low, float(known[1]))
    if top <= bottom:  # the process knows none of these levels
        top, bottom = known.tolist()
    times = scheduler.time_of(-2 * (bottom + (level - low) * ((top - bottom) / (high - low))))
    times[0] = t_max
    return times


def interpolated(values: Tensor, steps: int) -> Tensor:
    """Steps + 1 values on the line through the given ones, which are at equal distances."""
    if steps + 1 == len(values):
        return values
    at = torch.linspace(0, len(values) - 1, steps + 1, dtype=torch.float64)
    left = at.floor().long().clamp(max=len(values) - 2)
    return torch.lerp(values[left], values[left + 1], at - left)
