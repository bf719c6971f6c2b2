"""A residual multi-layer perceptron for vectors, modulated by the condition.

    block:  h <- h + W2 silu(W1 ((1 + scale) norm(h) + shift)),   W2 = 0 at first

Scale and shift are linear in the condition.

Shapes: x (B, D), h (B, width), condition (B, width).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from diffx_backbones.embedding import ConditionEmbedding
from diffx_backbones.initialisation import zeroed
from diffx_backbones.refusal import non_positive, refuse
from diffx_core import Condition, DataSpec


class Block(nn.Module):
    """One residual block.

    Args:
        width: of the residual stream and of the condition.
        hidden: width between the two layers.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.width = width
        self.modulation = zeroed(nn.Linear(width, 2 * width))
        self.hidden = nn.Linear(width, hidden)
        self.out = zeroed(nn.Linear(hidden, width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, width) to (B, width)."""
        scale, shift = self.modulation(condition).chunk(2, dim=-1)
        h = torch.addcmul(shift, layer_norm(x, (self.width,)), 1 + scale)
        y: Tensor = self.out(silu(self.hidden(h)))
        return x + y


class MLP(nn.Module):
    """A residual MLP for vectors (D,).

    Args:
        spec: of the data.
        width: of the residual stream.
        depth: number of residual blocks.
        expansion: width inside a block, as a multiple of `width`.
    """

    def __init__(
        self, spec: DataSpec, *, width: int = 128, depth: int = 4, expansion: int = 2
    ) -> None:
        problems = non_positive(width=width, depth=depth, expansion=expansion)
        if len(spec.shape) != 1:
            problems.append(
                f"mlp needs vectors (D,), but the data have the shape {spec.shape}; try unet or dit"
            )
        refuse(problems)
        super().__init__()
        (size,) = spec.shape
        self.width = width
        self.condition = ConditionEmbedding(width, spec.num_classes)
        self.stem = nn.Linear(size, width)
        self.blocks = nn.ModuleList(Block(width, expansion * width) for _ in range(depth))
        self.out = zeroed(nn.Linear(width, size))

    def forward(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B, D) at the (B,) noise labels to (B, D)."""
        condition = self.condition(noise_label, cond)
        h: Tensor = self.stem(x)
        for block in self.blocks:
            h = block(h, condition)
        y: Tensor = self.out(silu(layer_norm(h, (self.width,))))
        return y
