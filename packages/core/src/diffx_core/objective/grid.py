"""Densities of times on a grid: what a process in discrete time can be asked about.

The grid cuts the process into cells that end at its times; a time stands for its cell and has the
probability of it. As a density, each cell has its probability spread evenly over its width.
"""

from functools import cached_property

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.objective.times import TimeDensity


@frozen(eq=False)
class OnGrid(TimeDensity):
    """Another density, each draw of which is moved to the end of its cell.

    Args:
        density: the density that is moved to the grid.
        grid: the times that there are, rising.
        low: where the first cell begins.
        high: where the last cell ends.
    """

    density: TimeDensity
    grid: Tensor
    low: float
    high: float

    @cached_property
    def edges(self) -> Tensor:
        """Where cells begin and end; one more than there are."""
        return torch.cat(
            [self.grid.new_tensor([self.low]), self.grid[:-1], self.grid.new_tensor([self.high])]
        )

    @cached_property
    def cumulative(self) -> Tensor:
        """The probability of everything up to each cell's beginning or end."""
        shares: Tensor = self.density.cdf(self.edges)
        return shares

    def quantile(self, u: Tensor) -> Tensor:
        """The time of the cell that the quantile falls into."""
        cell = torch.bucketize(u, self.cumulative[1:], right=True)
        return self.grid[cell.clamp(max=len(self.grid) - 1)]

    def cdf(self, t: Tensor) -> Tensor:
        """The probability of all times of the grid up to t."""
        return self.cumulative[torch.bucketize(t, self.grid, right=True)]

    def log_prob(self, t: Tensor) -> Tensor:
        """The probability of the cell that t is in, by its width."""
        mass, width = self.cumulative.diff(), self.edges.diff()
        cell = torch.bucketize(t, self.edges[1:]).clamp(max=len(self.grid) - 1)
        return torch.where(mass > 0, mass / width, 0.0).log()[cell]
