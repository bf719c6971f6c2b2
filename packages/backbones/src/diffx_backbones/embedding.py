"""What a network is told besides x, as one vector per example: the noise level and the class.

The noise label t in [0, 1000] becomes features cos(w_k t), sin(w_k t) with w_k = s P^(-k/K),
k = 0 .. K-1, and these go through a small MLP. The scale s is 1 and the period P is 10000, unless
a network that was trained elsewhere has others. A class is a row of a table, in which row 0 stands
for `NO_LABEL`. Both are added.

Shapes: noise_label (B,), label (B,), features (B, 2K), embedding (B, D).
"""

from typing import Self

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import silu

from diffx_core import NO_LABEL, Condition, DataSpec

MAX_PERIOD = 10_000.0


@frozen
class Sinusoids:
    """The numbers of the sinusoids of the noise label.

    Args:
        features: 2K, how many there are; even.
        period: P, which the slowest frequency comes near.
        scale: s, which turns noise labels into what the sinusoids are of.
    """

    features: int = 64
    period: float = MAX_PERIOD
    scale: float = 1.0

    def problems(self) -> list[str]:
        """A problem for each number of which no `NoiseEmbedding` can be made."""
        problems = []
        if self.features < 2 or self.features % 2:
            problems.append(f"noise_features must be even and at least 2, got {self.features}")
        if not 1 < self.period < float("inf"):
            problems.append(f"noise_period must be above 1, got {self.period:g}")
        if not 0 < self.scale < float("inf"):
            problems.append(f"noise_scale must be above 0, got {self.scale:g}")
        return problems

    def frequency(self) -> Tensor:
        """(K,), from the fastest down."""
        exponent = torch.linspace(0, -1, self.features // 2 + 1, dtype=torch.float64)[:-1]
        return (self.scale * self.period**exponent).float()


PLAIN = Sinusoids()


class NoiseEmbedding(nn.Module):
    """A sinusoidal embedding of the noise label, followed by an MLP with one hidden layer.

    Args:
        width: D, of the embedding.
        sinusoids: of the noise label.

    References:
        Vaswani et al., 2017 (arXiv:1706.03762).
    """

    frequency: Tensor

    def __init__(self, width: int, sinusoids: Sinusoids = PLAIN) -> None:
        super().__init__()
        self.register_buffer("frequency", sinusoids.frequency(), persistent=False)
        self.hidden = nn.Linear(sinusoids.features, width)
        self.out = nn.Linear(width, width)

    def forward(self, noise_label: Tensor) -> Tensor:
        """Maps (B,) to (B, D)."""
        angle = noise_label[:, None] * self.frequency
        features = torch.cat([angle.cos(), angle.sin()], dim=1).to(self.hidden.weight.dtype)
        h: Tensor = self.out(silu(self.hidden(features)))
        return h


class ClassEmbedding(nn.Module):
    """A table with a row per class, after row 0 for examples that are told nothing.

    Args:
        num_classes: labels run over 0 .. num_classes - 1; any other than these and `NO_LABEL` is an
            IndexError.
        width: D, of the embedding.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(num_classes + 1, width)

    def forward(self, label: Tensor | None) -> Tensor:
        """Maps (B,) to (B, D), and None to (1, D)."""
        if label is None:
            return self.table.weight[:1]
        h: Tensor = self.table(label - NO_LABEL)
        return h


class ConditionEmbedding(nn.Module):
    """The noise level and, where the data have classes, the class: added and passed through SiLU.

    Args:
        width: D, of the embedding.
        num_classes: of the data; None builds no table and ignores labels.
        sinusoids: of the noise label.
    """

    def __init__(self, width: int, num_classes: int | None, sinusoids: Sinusoids = PLAIN) -> None:
        super().__init__()
        self.noise = NoiseEmbedding(width, sinusoids)
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)

    def forward(self, noise_label: Tensor, cond: Condition) -> Tensor:
        """Maps (B,) noise labels and their condition to (B, D)."""
        h: Tensor = self.noise(noise_label)
        if self.classes is not None:
            h = h + self.classes(cond.label)
        return silu(h)


class ClassTokens(nn.Module):
    """Tokens of the class, in the context of the others: its embedding, and a place for each.

    Args:
        num_classes: of the data.
        count: n, of tokens.
        width: D, of a token.
    """

    def __init__(self, num_classes: int, count: int, width: int) -> None:
        super().__init__()
        self.classes = ClassEmbedding(num_classes, width)
        self.place = nn.Parameter(0.02 * torch.randn(1, count, width))

    @classmethod
    def of(cls, spec: DataSpec, count: int, width: int) -> Self | None:
        """So many tokens for data of a kind; None if they are 0, or there are no classes."""
        return cls(spec.num_classes, count, width) if count and spec.num_classes else None

    def forward(self, label: Tensor | None) -> Tensor:
        """Maps (B,) to (B, n, D), and None to (1, n, D)."""
        h: Tensor = self.classes(label).unsqueeze(1) + self.place
        return h
