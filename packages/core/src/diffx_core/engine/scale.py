"""How large the data are that a network sees."""

import torch
from attrs import evolve

from diffx_core.dataset import Dataset, DataSpec
from diffx_core.errors import ConfigError
from diffx_core.scheduler import Scheduler

EXAMPLES = 4096
"""How many examples are looked at, at most."""
CHUNK = 256


def as_seen(dataset: Dataset, scheduler: Scheduler) -> DataSpec:
    """The facts about the data as a process sees them: about its anchor y, if it has one.

    sigma_data is then the root mean square of x0 - y, over evenly spaced examples.

    Raises:
        ConfigError: all examples are where their anchors are.
    """
    if scheduler.anchor(dataset.batch(torch.arange(1)).cond) is None:
        return dataset.spec
    count = min(len(dataset), EXAMPLES)
    total = torch.zeros((), dtype=torch.float64)
    for index in torch.linspace(0, len(dataset) - 1, count).long().split(CHUNK):
        batch = dataset.batch(index)
        anchor = scheduler.anchor(batch.cond)
        assert anchor is not None, "an anchor is there for every example, or for none"
        total += (batch.x - anchor).double().square().flatten(1).mean(1).sum()
    if not total > 0:
        raise ConfigError("every example is what the process starts from: nothing can be learned")
    return evolve(dataset.spec, sigma_data=float((total / count).sqrt()))
