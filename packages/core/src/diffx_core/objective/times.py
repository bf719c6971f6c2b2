"""Which noise levels a training step sees.

Times are spread over the batch: sample i of B sees t at the quantile (u + i/B) mod 1, with one
random u for each step. Every time keeps its probability, and no step misses a part of the process.

References:
    Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630, appendix I.1.
"""

import torch
from torch import Tensor

from diffx_core.noise import generator
from diffx_core.scheduler import Scheduler


def uniform_times(scheduler: Scheduler, count: int, seed: int, step: int) -> Tensor:
    """Times (count,), uniform over the process, stratified over the batch."""
    offset = torch.rand((), dtype=torch.float64, generator=generator(seed, "times", step))
    quantile = (offset + torch.arange(count, dtype=torch.float64) / count) % 1
    return scheduler.t_min + (scheduler.t_max - scheduler.t_min) * quantile
