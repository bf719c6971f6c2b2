"""Distributions in the plane that can be judged by eye, scaled to about unit root mean square.

A dataset is a finite sample of one of them, drawn once from its own seed.
"""

from functools import cached_property
from typing import Literal, get_args

import torch
from attrs import field, frozen
from attrs.validators import and_, ge, in_, le, optional
from torch import Tensor

from diffx_core import Batch, Dataset, DataSpec
from diffx_datasets.plane import SHAPES
from diffx_datasets.resident import Resident

Kind = Literal["moons", "swiss_roll", "checkerboard", "rings", "gaussians"]


@frozen(kw_only=True)
class Toy2D(Dataset):
    """Points (2,) of one of five distributions, labelled where they have natural classes.

    Args:
        kind: the distribution; moons (2 classes), rings (3) and gaussians (8) have labels.
        points: how many are drawn.
        seed: of the points.
        noise: standard deviation of Gaussian noise around the shape; by default what suits the
            kind.
    """

    kind: Kind = field(default="moons", validator=in_(get_args(Kind)))
    points: int = field(default=20_000, validator=and_(ge(1), le(10_000_000)))
    seed: int = field(default=0, validator=and_(ge(0), le(2**63 - 1)))
    noise: float | None = field(default=None, validator=optional(ge(0)))

    @cached_property
    def _resident(self) -> Resident:
        shape = SHAPES[self.kind]
        generator = torch.Generator().manual_seed(self.seed)
        x, label = shape.draw(self.points, generator)
        noise = shape.noise if self.noise is None else self.noise
        x = x + noise * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return Resident(x=x.float(), label=label)

    @cached_property
    def spec(self) -> DataSpec:
        """The facts about the points, of which sigma_data is measured."""
        num_classes = SHAPES[self.kind].num_classes
        return DataSpec(shape=(2,), num_classes=num_classes, sigma_data=self._resident.rms)

    def __len__(self) -> int:
        return self.points

    def batch(self, index: Tensor) -> Batch:
        """The points (B, 2) at the (B,) positions `index`."""
        return self._resident.batch(index)
