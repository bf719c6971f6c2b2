"""How layers start: the last of a residual branch at zero, so that a new block is the identity."""

from typing import TypeVar

from torch import nn

M = TypeVar("M", nn.Linear, nn.Conv2d)


def zeroed(layer: M) -> M:
    """The same layer with its weight and bias at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
