"""Mixtures of Gaussians with exact scores, and where the ODE of a process carries noise on them.

All processes share one ODE: in y = x / (alpha + sigma) and s = sigma / (alpha + sigma) every path
is y = (1 - s) x0 + s eps and every marginal moves along

    dy/ds = eps - x0 = (y - x0) / s,

so the exact end depends on the process through the s it begins at alone.
"""

import math
from functools import cached_property
from itertools import pairwise

import torch
from attrs import field, frozen

from diffx_core import Decoding, Estimate
from diffx_core.plugins import Registry

PROCESSES = {
    "VP linear": ("vpsde", 1.0),
    "VP cosine": ("cosine", 1.0),
    "EDM": ("edm", 0.5),
    "rectified flow": ("rectified_flow", 1.0),
}
"""The component, and the root mean square of the data that it is used with."""

COMPONENTS = {2: 6, 64: 10}
PATHS = {2: 512, 64: 256}
APART = {2: 1.0, 64: 0.3}
"""How far the means are from each other, beside the widths of the Gaussians."""

WIDTHS = {2: (0.05, 0.5), 64: (0.1, 1.0)}
LAST = 1e-5
"""The s at which the data are read off."""


@frozen(eq=False)
class Mixture:
    """Gaussians whose widths fall with the coordinate, as those of images do with frequency.

    Args:
        seed: which mixture, and which noise its paths start from.
        size: of the space.
        spread: root mean square of the data.
    """

    seed: int
    size: int
    spread: float = 1.0
    ends: dict = field(factory=dict, init=False, repr=False)

    @cached_property
    def parts(self):
        """Logarithms of the weights (K,), means (K, size) and variances (K, size)."""
        draw = torch.Generator().manual_seed(1000 * self.size + self.seed)
        count = COMPONENTS[self.size]
        weights = torch.rand(count, generator=draw, dtype=torch.float64) + 0.3
        weights /= weights.sum()
        widths = torch.arange(1, self.size + 1, dtype=torch.float64) ** -0.5
        means = torch.randn(count, self.size, generator=draw, dtype=torch.float64)
        means *= APART[self.size] * widths
        uniform = torch.rand(count, self.size, generator=draw, dtype=torch.float64)
        low, high = WIDTHS[self.size]
        stds = widths * low * (high / low) ** uniform
        means -= weights @ means
        power = (weights @ (means.square() + stds**2)).mean()
        scale = self.spread / power.sqrt()
        return weights.log(), means * scale, (stds * scale) ** 2

    @cached_property
    def noise(self):
        """The noise (B, size) that all paths start from."""
        draw = torch.Generator().manual_seed(1000 * self.size + self.seed + 500)
        return torch.randn(PATHS[self.size], self.size, generator=draw, dtype=torch.float64)

    def data(self, y, s):
        """The expected data behind y (B, size), at one s from 0 to 1."""
        weights, means, variances = self.parts
        a = 1 - s
        total = a * a * variances + s * s
        gain = a * variances / total
        squared = y.square() @ (1 / total).T - 2 * a * (y @ (means / total).T)
        likely = weights - (squared + (a * a * means.square() / total + total.log()).sum(1)) / 2
        behind = likely.softmax(1)
        return behind @ (means - a * gain * means) + y * (behind @ gain)

    def end(self, s):
        """Where the ODE carries the noise from s on: Runge-Kutta in many small steps."""
        if s not in self.ends:
            self.ends[s] = self._integrate(s)
        return self.ends[s]

    def _integrate(self, s, steps=600):
        ratio = min(s / (1 - s), 200.0) if s < 1 else 200.0
        ratios = torch.linspace(math.log(ratio), math.log(LAST), steps + 1, dtype=torch.float64)
        grid = ratios.sigmoid().tolist()
        if grid[0] < s:
            grid = [*torch.linspace(s, grid[0], 50, dtype=torch.float64).tolist(), *grid[1:]]
        else:
            grid[0] = s
        y = s * self.noise

        def slope(y, s):
            return (y - self.data(y, s)) / s

        for here, there in pairwise(grid):
            h = there - here
            one = slope(y, here)
            two = slope(y + h / 2 * one, here + h / 2)
            three = slope(y + h / 2 * two, here + h / 2)
            four = slope(y + h * three, there)
            y = y + h / 6 * (one + 2 * two + 2 * three + four)
        return self.data(y, grid[-1])

    def error(self, found, s):
        """The root of the mean squared distance of each number from the end of the ODE."""
        return float((found.to(torch.float64) - self.end(s)).square().mean().sqrt())


@frozen(eq=False)
class Exact:
    """The exact denoiser of a mixture, for the samplers of diffx; counts its calls."""

    scheduler: object
    mixture: Mixture
    calls: list = field(factory=list, init=False)

    @property
    def t_min(self) -> float:
        return self.scheduler.t_min

    @property
    def t_max(self) -> float:
        return self.scheduler.t_max

    def prepare(self, times, device):
        pass

    def __call__(self, x, t, cond=None) -> Estimate:
        self.calls.append(t)
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = float(self.scheduler.alpha(time)), float(self.scheduler.sigma(time))
        total = alpha + sigma
        x0 = self.mixture.data(x / total, sigma / total)
        return Estimate(x, x0, Decoding(0.0, 1.0, 1 / sigma, -alpha / sigma))


REGISTRY = Registry.load({})


def process(name):
    """The process of a row, as diffx has it, and the spread of the data it is used with."""
    component, spread = PROCESSES[name]
    return REGISTRY.find("scheduler", component).load()(), spread
