"""Tables of betas, the variances that a process in discrete time adds at its T steps.

    linear          lo + (hi - lo) i/(T-1)
    scaled_linear   (sqrt(lo) + (sqrt(hi) - sqrt(lo)) i/(T-1))^2
    sigmoid         lo + (hi - lo) sigmoid(-6 + 12 i/(T-1))
    cosine          1 - abar((i+1)/T) / abar(i/T), at most .999
                    where abar(u) = cos^2(pi/2 (u+s)/(1+s))
    dns             lo + (hi - lo) ((i + offset)/(T + 1 + offset))^2
    dnst            dns with offset = T

lo and hi are beta_start and beta_end, times 1000/T. Everything is on the CPU, in float64.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

TableName = Literal["linear", "scaled_linear", "cosine", "sigmoid", "dns", "dnst"]

LARGEST_BETA = 0.999
"""The cap of the cosine table, whose last step would otherwise leave nothing of the data."""


class Parameters(NamedTuple):
    """What tables are made from.

    Args:
        T: number of steps.
        lo: the first beta.
        hi: the last beta.
        s: offset of the cosine table.
        offset: of the quadratic table.
    """

    T: int
    lo: float
    hi: float
    s: float
    offset: float

    def line(self, start: float, end: float) -> Tensor:
        """T numbers from start to end."""
        return torch.linspace(start, end, self.T, dtype=torch.float64, device="cpu")

    def steps(self) -> Tensor:
        """The numbers 0 to T - 1."""
        return torch.arange(self.T, dtype=torch.float64, device="cpu")


def linear(given: Parameters) -> Tensor:
    """Ho et al., 2020, arXiv:2006.11239."""
    return given.line(given.lo, given.hi)


def scaled_linear(given: Parameters) -> Tensor:
    """Rombach et al., 2022, arXiv:2112.10752."""
    return given.line(math.sqrt(given.lo), math.sqrt(given.hi)) ** 2


def sigmoid(given: Parameters) -> Tensor:
    """Betas along a logistic curve."""
    return given.lo + (given.hi - given.lo) * given.line(-6, 6).sigmoid()


def cosine(given: Parameters) -> Tensor:
    """Nichol & Dhariwal, 2021, arXiv:2102.09672, as products of sines, so that nothing cancels."""
    rate, i = math.pi / 2 / (1 + given.s), given.steps()
    apart = math.sin(rate / given.T) * (rate * ((2 * i + 1) / given.T + 2 * given.s)).sin()
    return (apart / (rate * (1 - i / given.T)).sin() ** 2).clamp(max=LARGEST_BETA)


def dns(given: Parameters) -> Tensor:
    """The offset quadratic."""
    share = (given.steps() + given.offset) / (given.T + 1 + given.offset)
    return given.lo + (given.hi - given.lo) * share**2


def dnst(given: Parameters) -> Tensor:
    """The offset quadratic that starts a quarter of the way up."""
    return dns(given._replace(offset=given.T))


class Table(NamedTuple):
    """A way to make betas, and the options that it reads.

    Args:
        betas: the function.
        reads: names of options.
    """

    betas: Callable[[Parameters], Tensor]
    reads: tuple[str, ...] = ("beta_start", "beta_end")


TABLES: dict[TableName, Table] = {
    "linear": Table(linear),
    "scaled_linear": Table(scaled_linear),
    "cosine": Table(cosine, ("s",)),
    "sigmoid": Table(sigmoid),
    "dns": Table(dns, ("beta_start", "beta_end", "offset")),
    "dnst": Table(dnst),
}


def zero_terminal(log_abar: Tensor) -> Tensor:
    """A table of log abar, rescaled so that the last is -inf and the first is kept.

    References:
        Lin et al., Common Diffusion Noise Schedules Are Flawed, 2023, arXiv:2305.08891, alg. 1.
    """
    root = (log_abar / 2).exp()
    return 2 * ((root - root[-1]) / (root[0] - root[-1]) * root[0]).log()
