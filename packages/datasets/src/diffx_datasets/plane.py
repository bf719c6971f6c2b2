"""Five shapes in the plane, each with closed-form constants that make its root mean square 1.

Point i of a shape with K classes has class i mod K, so that the classes are balanced.

Shapes: points (N, 2) float64, label (N,) int64.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from attrs import frozen
from torch import Generator, Tensor

NUM_RINGS = 3
NUM_GAUSSIANS = 8
NUM_SQUARES = 4
"""Squares on one side of the checkerboard."""

Drawn = tuple[Tensor, Tensor | None]


@frozen
class Shape:
    """A distribution in the plane.

    Args:
        draw: makes N points, and labels if the shape has classes.
        noise: standard deviation of the Gaussian noise that suits it.
        num_classes: None without labels.
    """

    draw: Callable[[int, Generator], Drawn]
    noise: float
    num_classes: int | None = None


def moons(n: int, generator: Generator) -> Drawn:
    """Two half circles, (cos a, sin a) and (1 - cos a, 1/2 - sin a), a in [0, pi], centred."""
    label = torch.arange(n) % 2
    circle = _polar(torch.ones(n, dtype=torch.float64), math.pi * _uniform(n, generator))
    sign = (1 - 2 * label)[:, None]
    centred = sign * (circle - torch.tensor([0.5, 0.25], dtype=torch.float64))
    mean_square = (3 / 4 + (9 / 16 - 1 / math.pi)) / 2
    return centred / math.sqrt(mean_square), label


def swiss_roll(n: int, generator: Generator) -> Drawn:
    """A spiral a (cos a, sin a) with a uniform in [3/2 pi, 9/2 pi]."""
    low, high = 1.5 * math.pi, 4.5 * math.pi
    angle = low + (high - low) * _uniform(n, generator)
    mean_square = (low**2 + low * high + high**2) / 6
    return _polar(angle, angle) / math.sqrt(mean_square), None


def checkerboard(n: int, generator: Generator) -> Drawn:
    """Uniform on squares (i, j) of 4x4 with i + j even, on a board of side 2 sqrt 3."""
    row = torch.randint(NUM_SQUARES, (n,), generator=generator)
    column = 2 * torch.randint(NUM_SQUARES // 2, (n,), generator=generator) + row % 2
    within = torch.rand(n, 2, generator=generator, dtype=torch.float64)
    board = (torch.stack([column, row], dim=1) + within) / NUM_SQUARES
    return math.sqrt(3) * (2 * board - 1), None


def rings(n: int, generator: Generator) -> Drawn:
    """Circles of radius 1, 2, 3 around the origin."""
    label = torch.arange(n) % NUM_RINGS
    angle = 2 * math.pi * _uniform(n, generator)
    mean_square = sum((k + 1) ** 2 for k in range(NUM_RINGS)) / NUM_RINGS / 2
    return _polar(label + 1.0, angle) / math.sqrt(mean_square), label


def gaussians(n: int, _: Generator) -> Drawn:
    """Eight points on the circle of radius sqrt 2, which the noise makes Gaussian."""
    label = torch.arange(n) % NUM_GAUSSIANS
    angle = 2 * math.pi * label.double() / NUM_GAUSSIANS
    return _polar(torch.full_like(angle, math.sqrt(2)), angle), label


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "moons": Shape(moons, noise=0.05, num_classes=2),
        "swiss_roll": Shape(swiss_roll, noise=0.05),
        "checkerboard": Shape(checkerboard, noise=0.0),
        "rings": Shape(rings, noise=0.05, num_classes=NUM_RINGS),
        "gaussians": Shape(gaussians, noise=0.1, num_classes=NUM_GAUSSIANS),
    }
)


def _uniform(n: int, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator, dtype=torch.float64)


def _polar(radius: Tensor, angle: Tensor) -> Tensor:
    return radius.double()[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
