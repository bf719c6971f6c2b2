"""The kernel distance: the squared maximum mean discrepancy of features, without bias."""

from collections.abc import Mapping
from math import fsum
from statistics import fmean
from typing import ClassVar

import torch
from attrs import field, frozen
from attrs.validators import ge
from torch import Tensor

from diffx_core import INCEPTION, Metric

PAIRS = 1 << 20
"""Pairs whose kernel is held at once, in float64: a few samples make blocks of a huge reference."""


@frozen(kw_only=True)
class KID(Metric):
    """The kernel distance with k(a, b) = (a.b / D + 1)^3, unbiased for any number of examples.

    Args:
        block: examples of either sort that are compared with each other; more are cut at random
            into blocks of about this size, and their distances averaged.

    References:
        Binkowski et al., Demystifying MMD GANs, 2018, arXiv:1801.01401.
    """

    figures: ClassVar[tuple[str, ...]] = ("KID",)
    lower_is_better: ClassVar[bool] = True
    block: int = field(default=1000, validator=ge(2))

    def measure(self, made: Tensor, real: Tensor, *, seed: int) -> Mapping[str, float]:
        """The distance of features (N, D) from others (M, D); it may be below zero by chance."""
        self.require(len(made), len(real))
        sizes = len(made), len(real)
        count = max(1, min(-(-max(sizes) // self.block), min(sizes) // 2))
        generator = torch.Generator().manual_seed(seed % 2**63)
        blocks = [
            one.double()[torch.randperm(len(one), generator=generator)].tensor_split(count)
            for one in (made, real)
        ]
        found = [_squared_mmd(*pair) for pair in zip(*blocks, strict=True)]
        return {"KID": fmean(found)}

    def called(self, figure: str, features: str) -> str:
        """KID on the features by which the literature means it."""
        return figure if features == INCEPTION else super().called(figure, features)


def _squared_mmd(a: Tensor, b: Tensor) -> float:
    n, m = len(a), len(b)
    same_a, same_b = ((_sum(one, one) - _trace(one)) for one in (a, b))
    return same_a / (n * (n - 1)) + same_b / (m * (m - 1)) - 2 * _sum(a, b) / (n * m)


def _sum(a: Tensor, b: Tensor) -> float:
    """Of the kernel over all pairs, never more of which are held than `PAIRS`."""
    rows = max(1, PAIRS // len(b))
    return fsum(_kernel(part @ b.T, b.shape[1]).sum().item() for part in a.split(rows))


def _trace(a: Tensor) -> float:
    """Of the kernel of each example with itself."""
    return _kernel(a.square().sum(1), a.shape[1]).sum().item()


def _kernel(products: Tensor, width: int) -> Tensor:
    return (products / width + 1) ** 3
