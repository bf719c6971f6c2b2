"""Times for a process that does not know all of them."""

import torch
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.scheduler import Scheduler


def legal(scheduler: Scheduler, times: Tensor) -> Tensor:
    """The same falling times, all but the last moved to the nearest that the process knows.

    Raises:
        ConfigError: a process in discrete time has fewer times than there are steps.
    """
    known = scheduler.grid()
    steps = len(times) - 1
    if known is None:
        return times
    if steps > len(known):
        raise ConfigError(f"the process has {len(known)} times: it cannot take {steps} steps")
    middles = (known[1:] + known[:-1]) / 2
    nearest = torch.bucketize(times[:-1], middles)
    down = torch.arange(steps)
    # No time twice: of two that meet, the later step gives way, but leaves room for those after it.
    falling = (nearest + down).cummin(0).values - down
    return torch.cat([known[torch.maximum(falling, down.flip(0))], times[-1:]])
