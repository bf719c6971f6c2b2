"""Layers that keep magnitudes: what comes in with unit variance goes out with it.

    linear, convolution:  W x with every row of W at length one
    sum:                  ((1 - r) a + r b) / sqrt((1 - r)^2 + r^2)
    concatenation:        (a / sqrt A, b / sqrt B) sqrt((A + B) / 2), of A and B channels
    activation:           silu(x) / 0.596

Lengths are divided out on the way forward, so that gradients are at right angles to their weights,
and every step of an optimizer makes weights longer, hence slower to turn. `renormalise` takes the
length back before each step, so that the learning rate means the same for every layer at all times.

Shapes: W (O, I) or (O, I, K, K), x (B, I) or (B, I, H, W).

References:
    Karras et al., 2024, Analyzing and Improving the Training Dynamics of Diffusion Models
    (arXiv:2312.02696), appendix B.
"""

import math

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import conv2d, embedding, linear, silu

from diffx_backbones.embedding import MAX_PERIOD
from diffx_core import NO_LABEL

SILU_SIZE = 0.596
"""Root mean square of silu(z), z of N(0, 1)."""
TINY = 1e-4
"""The least length or root mean square that is divided by."""
NEAR = 1e-5
"""How far from one a root mean square may be that is left alone; more where the type is coarser."""


def lengths(weight: Tensor) -> Tensor:
    """The length of each row (O, ...)."""
    length: Tensor = vector_norm(weight, dim=tuple(range(1, weight.ndim)), keepdim=True)
    return length.clamp(min=TINY)


def unit(weight: Tensor) -> Tensor:
    """The rows (O, ...) at length one."""
    return weight / lengths(weight)


def pixel_norm(x: Tensor, dim: int = 1) -> Tensor:
    """Vectors along an axis at a root mean square of one."""
    exact = torch.promote_types(x.dtype, torch.float32)
    size: Tensor = vector_norm(x, dim=dim, keepdim=True, dtype=exact) / math.sqrt(x.shape[dim])
    return x / size.clamp(min=TINY).to(x.dtype)


def mp_silu(x: Tensor) -> Tensor:
    """SiLU at unit variance."""
    return silu(x) / SILU_SIZE


def mp_sum(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The sum of independent a and b, with a share of b, at their variance."""
    return torch.lerp(a, b, share) / math.hypot(1 - share, share)


def mp_cat(a: Tensor, b: Tensor) -> Tensor:
    """Channels of a and b side by side, either half of the whole variance."""
    A, B = a.shape[1], b.shape[1]
    return torch.cat([a * math.sqrt((A + B) / (2 * A)), b * math.sqrt((A + B) / (2 * B))], dim=1)


class MPLinear(nn.Module):
    """A linear layer without bias.

    Args:
        size_in: of the input.
        size_out: of the output.
    """

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size_out, size_in))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., size_in) to (..., size_out)."""
        return linear(x, unit(self.weight))


class MPConv(nn.Module):
    """A convolution without bias that keeps the sides of the image.

    Args:
        channels_in: of the input.
        channels: of the output.
        side: of the kernel; odd.
    """

    def __init__(self, channels_in: int, channels: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels_in, side, side))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, channels_in, H, W) to (B, channels, H, W)."""
        return conv2d(x, unit(self.weight), padding=self.weight.shape[-1] // 2)


class MPTable(nn.Module):
    """A linear layer of classes, one-hot, after one that stands for no class.

    Args:
        num_classes: labels run over 0 .. num_classes - 1; any other than these and `NO_LABEL` is an
            IndexError.
        width: of the output.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, num_classes + 1))

    def forward(self, label: Tensor | None) -> Tensor:
        """Maps (B,) to (B, width), and None to (1, width)."""
        table = unit(self.weight).T * math.sqrt(self.weight.shape[1])
        return table[:1] if label is None else embedding(label - NO_LABEL, table)


class MPSinusoids(nn.Module):
    """Cosines and sines of the noise label: of unit root mean square at every label.

    Args:
        size: how many, in pairs; even.
    """

    frequency: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        exponent = -torch.arange(size // 2, dtype=torch.float64) / (size // 2)
        self.register_buffer("frequency", (MAX_PERIOD**exponent).float(), persistent=False)

    def forward(self, noise_label: Tensor) -> Tensor:
        """Maps (B,) to (B, size)."""
        angle = noise_label[:, None] * self.frequency
        return torch.cat([angle.cos(), angle.sin()], dim=1) * math.sqrt(2)


def renormalise(network: nn.Module) -> None:
    """Bring every row of every weight back to a root mean square of one, in place.

    It changes nothing that the network says, so graphs of earlier calls stay valid; and nothing at
    all between two steps of an optimizer, so that calls can be repeated.
    """
    for layer in network.modules():
        if isinstance(layer, MPLinear | MPConv | MPTable):
            weight = layer.weight.data
            exact = weight.to(torch.promote_types(weight.dtype, torch.float32))
            size = lengths(exact) / math.sqrt(weight[0].numel())
            near = max(NEAR, torch.finfo(weight.dtype).eps)
            weight.copy_(exact / torch.where((size - 1).abs() < near, 1.0, size))
