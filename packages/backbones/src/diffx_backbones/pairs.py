"""An image that each example is told (`Condition.image`), read beside it as further channels."""

import torch
from torch import Tensor

from diffx_core import Condition, ConfigError, DataSpec


def read_channels(spec: DataSpec) -> int:
    """The first axis of what a network reads: that of an example, twice if there are pairs."""
    return spec.shape[0] * (2 if spec.paired else 1)


def beside(x: Tensor, cond: Condition, *, is_paired: bool) -> Tensor:
    """What a network reads: x (B, C, *), and after it the image of each example if there are pairs.

    Raises:
        ConfigError: there are pairs, and the condition has no image.
    """
    if not is_paired:
        return x
    if cond.image is None:
        raise ConfigError("the network reads an image beside x: give it by Condition(image=...)")
    return torch.cat([x, cond.image.to(x.dtype)], dim=1)
