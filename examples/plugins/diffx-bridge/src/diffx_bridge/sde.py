"""A bridge from the data to a known point, with noise that grows on the way.

dx = (y - x) / (1 - t) dt + sqrt(c) k^t dW

The mean goes from x0 to y on a straight line, x_t - y = (1 - t) (x0 - y) + sigma eps. Noise comes
and, as the bridge closes at t = 1, goes again. Its deviation

sigma^2 = c (1 - t) (k^(2t) - 1 + t + 2 log(k) k^2 (1 - t) (Ei(-2 log(k) (1 - t)) - Ei(-2 log(k))))

needs the exponential integral, with its derivative and its inverse; so this module writes the SDE,
and leaves the rest to diffx.
"""

import math
from typing import Literal, get_args

import torch
from attrs import field, frozen
from attrs.validators import gt, in_
from torch import Tensor

from diffx_core import Condition, ConfigError, SchedulerFromSDE

End = Literal["image", "zero"]


@frozen(kw_only=True)
class BrownianBridge(SchedulerFromSDE):
    """Brownian bridge with exponential diffusion: dx = (y - x) / (1 - t) dt + sqrt(c) k^t dW.

    Args:
        c: the squared diffusion at the beginning.
        k: the growth of the diffusion over the whole bridge.
        end: where the bridge leads: to the image of each example's condition, such as its noisy
            recording, or to zero, which needs no such image.

    References:
        Lay et al., Reducing the Prior Mismatch of Stochastic Differential Equations for
        Diffusion-based Speech Enhancement, 2023, arXiv:2302.14748.
    """

    c: float = field(default=0.51, validator=gt(0))
    k: float = field(default=2.6, validator=gt(0))
    end: End = field(default="image", validator=in_(get_args(End)))

    t_max = 0.999
    """At t = 1 the drift is infinite."""

    def drift(self, t: Tensor) -> Tensor:
        """-1 / (1 - t), of the distance to the end of the bridge."""
        return -1 / (1 - t)

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(c) k^t."""
        return math.sqrt(self.c) * torch.pow(self.k, t)

    def anchor(self, cond: Condition) -> Tensor | None:
        """The end of the bridge."""
        if self.end == "zero":
            return None
        if cond.image is None:
            raise ConfigError(
                "bridge leads each example to the image of its condition, and there is none: train "
                "on a dataset of pairs, and sample, with Condition(image=...), or choose end 'zero'"
            )
        return cond.image
