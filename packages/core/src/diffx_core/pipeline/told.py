"""What each sample is told: labels, checked against what the model knows."""

from collections.abc import Sequence
from typing import TypeAlias

import torch

from diffx_core.dataset import NO_LABEL, Condition, DataSpec
from diffx_core.errors import ConfigError

Labels: TypeAlias = int | Sequence[int] | torch.Tensor
"""The class of all samples, or of each of them."""


def told(spec: DataSpec, n: int, labels: Labels | None = None) -> Condition:
    """The condition of n samples.

    Args:
        spec: the facts about the data.
        n: how many samples.
        labels: their classes.

    Raises:
        ConfigError: the model knows no such labels.
    """
    if n < 1:
        raise ConfigError(f"n must be at least 1, got {n}")
    if isinstance(labels, torch.Tensor):
        labels = labels.tolist()
    wanted = [labels] * n if isinstance(labels, int) else labels
    classes = spec.num_classes
    if classes is None:
        if wanted is not None:
            raise ConfigError("the model was trained without labels: it takes none")
        return Condition()
    if wanted is None:
        return Condition(torch.full((n,), NO_LABEL))
    if len(wanted) != n:
        raise ConfigError(f"{len(wanted)} labels for {n} samples")
    outside = sorted({one for one in wanted if not 0 <= one < classes})
    if outside:
        raise ConfigError(f"no such label: {outside}; the model knows 0 to {classes - 1}")
    return Condition(torch.tensor(wanted))
