"""Whether samples are copies of real examples: how near they are to the nearest of these.

    copied: the share of samples for which    d1 < d2 / 3,
        d1, d2 the distances to the nearest real example and to the second nearest;
    nearness: the median of d1 over samples, by that of real examples to the nearest other one.

Distances are Euclidean, of the values; images are averaged down to 32 pixels a side before.

References:
    Yoon et al., Diffusion Probabilistic Models Generalize when They Fail to Memorize, 2023, for
        the third.
"""

import math
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from diffx_cli.evaluate.summary import summary
from diffx_core.engine.ranks import Ranks
from diffx_core.noise import generator
from diffx_metrics.features.seen import Seen

NEAREST = "nearest"
"""Among what was found: the distances (N, 2) to the nearest two."""
SIDE = 32
THIRD = 1 / 3
MOST = 1000
"""Real examples that are compared with the others."""
ROWS = 256


def small(x: Tensor) -> Tensor:
    """Examples (B, *shape) as they are compared, (B, D)."""
    x = x.detach().cpu().float()
    if x.ndim == 4 and max(x.shape[2:]) > SIDE:
        x = adaptive_avg_pool2d(x, SIDE)
    return x.flatten(1)


@frozen(eq=False)
class Memory:
    """The real examples that samples might be copies of.

    Args:
        rows: (M, D) them.
        real: (K, 2) how far some of them are from the nearest two others.
    """

    rows: Tensor
    real: Tensor

    @classmethod
    def of(cls, parts: list[Tensor], width: int, ranks: Ranks, seed: int) -> "Memory | None":
        """That of the examples which each process has read; None of too few to say anything.

        Args:
            parts: (B, D) of this process, in order.
            width: D.
            ranks: the processes.
            seed: of the choice of real examples that are compared with the others.
        """
        rows = ranks.joined(torch.cat([torch.empty(0, width), *parts]))
        if len(rows) < 3:
            return None
        order = torch.randperm(len(rows), generator=generator(seed, "memory"))[:MOST]
        itself_first = _nearest(rows[order], rows, 3)
        return cls(rows, itself_first[:, 1:])

    def see(self, x: Tensor) -> Seen:
        """The distances (B, 2) of samples to the nearest two."""
        return Seen(_nearest(small(x), self.rows, 2))

    def facts(self, parts: list[Tensor]) -> dict[str, Any]:
        """What it says of samples, beside what real examples get, as plain JSON types.

        Args:
            parts: (N, 2) what was seen in the samples of each repeat.
        """
        usual = float(self.real[:, 0].median())
        nearness = [float(one[:, 0].median()) / usual if usual else math.inf for one in parts]
        return {
            "copied": {**summary([_copied(one) for one in parts]), "of_real": _copied(self.real)},
            "nearness": summary(nearness) if usual else None,
            "reference": len(self.rows),
        }


def _nearest(x: Tensor, rows: Tensor, count: int) -> Tensor:
    """(B, count) of x (B, D), rising."""
    # found by products, which is fast, and measured by differences: that of a copy is zero
    parts = []
    for one in x.split(ROWS):
        place = torch.cdist(one, rows).topk(count, largest=False).indices
        parts.append((one[:, None] - rows[place]).norm(dim=2).sort(1).values)
    return torch.cat(parts)


def _copied(nearest: Tensor) -> float:
    return float((nearest[:, 0] < THIRD * nearest[:, 1]).double().mean())
