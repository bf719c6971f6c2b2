"""A gated residual multi-layer perceptron for vectors, modulated by the condition c.

    features:  f = (x, sin(2^k x), cos(2^k x)),  k = 0 .. octaves - 1
    stem:      h = silu(W (1 + gain(c)) f)
    block:     h <- h + W2 (silu(a) b),   (a, b) = W1 ((1 + scale(c)) norm(h) + shift(c))
    output:    y = W3 ((1 + gain(c)) silu(norm(h))) + skip(c) x

All functions of c are linear and zero at first, and so are W2 and W3. At little noise the answer
changes over distances that are small beside the data, which is what the high octaves are for; at
much noise it is smooth and near a multiple of x, which is what the gains and the skip are for.

Shapes: x (B, D), f (B, (2 octaves + 1) D), h (B, width), condition (B, width).

References:
    Tancik et al., Fourier Features Let Networks Learn High Frequency Functions, 2020,
    arXiv:2006.10739.
    Shazeer, GLU Variants Improve Transformer, 2020, arXiv:2002.05202 (the gated block).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from diffx_backbones.embedding import ConditionEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.pairs import beside, read_channels
from diffx_backbones.refusal import non_positive, reads_no_context, refuse
from diffx_backbones.sizes import mlp_of
from diffx_core import Condition, DataSpec, Sized, SizeName

MAX_OCTAVES = 16
"""2^16 times a number of size one is as fine as float32 can tell apart to some digits."""


class FourierFeatures(nn.Module):
    """Numbers together with their sines and cosines at frequencies 1, 2, 4, ...

    Args:
        octaves: how many frequencies.
    """

    frequency: Tensor

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.register_buffer("frequency", 2.0 ** torch.arange(octaves), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, D) to (B, (2 octaves + 1) D)."""
        angle = (x[:, :, None] * self.frequency).flatten(1)
        return torch.cat([x, angle.sin(), angle.cos()], dim=1)


class Gain(nn.Module):
    """Values, each multiplied by what the condition makes of it; by one at first.

    Args:
        width: of the condition.
        size: how many values.
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.scale = zeroed(nn.Linear(width, size))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, size) to (B, size)."""
        return torch.addcmul(x, x, self.scale(condition))


class Block(nn.Module):
    """One gated residual block.

    Args:
        width: of the residual stream and of the condition.
        hidden: width between the two layers.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.width = width
        self.modulation = zeroed(nn.Linear(width, 2 * width))
        self.hidden = nn.Linear(width, 2 * hidden)
        self.out = zeroed(nn.Linear(hidden, width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, width) to (B, width)."""
        scale, shift = self.modulation(condition).chunk(2, dim=-1)
        h = torch.addcmul(shift, layer_norm(x, (self.width,)), 1 + scale)
        gate, value = self.hidden(h).chunk(2, dim=-1)
        y: Tensor = self.out(silu(gate) * value)
        return x + y


class MLP(nn.Module):
    """A gated residual MLP for vectors (D,) on Fourier features.

    Args:
        spec: of the data.
        width: of the residual stream.
        depth: number of residual blocks.
        expansion: width inside a block, as a multiple of `width`.
        octaves: number of frequencies at which each number is seen, 1, 2, 4, ...; more show finer
            detail, 0 shows the numbers alone.
    """

    @classmethod
    def sized(cls, size: SizeName, spec: DataSpec) -> Sized:  # noqa: ARG003 - as of every network
        """What makes an MLP of a size; the data do not matter."""
        return mlp_of(size)

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: int = 128,
        depth: int = 3,
        expansion: int = 1,
        octaves: int = 6,
    ) -> None:
        problems = non_positive(width=width, depth=depth, expansion=expansion)
        if not 0 <= octaves <= MAX_OCTAVES:
            problems.append(f"octaves must be from 0 to {MAX_OCTAVES}, got {octaves}")
        if len(spec.shape) != 1:
            problems.append(
                f"mlp needs vectors (D,), but the data have the shape {spec.shape}; try unet or dit"
            )
        refuse(problems + reads_no_context("mlp", spec))
        super().__init__()
        (size,) = spec.shape
        self.is_paired = spec.paired
        num_features = (2 * octaves + 1) * read_channels(spec)
        self.width = width
        self.condition = ConditionEmbedding(width, spec.num_classes)
        self.features = FourierFeatures(octaves)
        self.stem_gain = Gain(width, num_features)
        self.stem = nn.Linear(num_features, width)
        self.blocks = nn.ModuleList(Block(width, expansion * width) for _ in range(depth))
        self.out_gain = Gain(width, width)
        self.out = zeroed(nn.Linear(width, size))
        self.skip = zeroed(nn.Linear(width, size))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, D) at the (B,) noise labels to (B, D)."""
        condition = self.condition(noise_label, cond)
        read = beside(x, cond, is_paired=self.is_paired)
        h: Tensor = silu(self.stem(self.stem_gain(self.features(read), condition)))
        for block in self.blocks:
            h = block(h, condition)
        h = self.out_gain(silu(layer_norm(h, (self.width,))), condition)
        return torch.addcmul(self.out(h), self.skip(condition), x)
