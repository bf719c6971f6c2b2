"""Mean and variance of dx = f(t) x dt + g(t) dW, by quadrature, to the accuracy of float64.

    log alpha(t) = int f,    sigma(t)^2 = alpha(t)^2 (start_std^2 + int g^2 / alpha^2)

Time is cut into panels, short enough for f and g to be polynomials of degree 15 to rounding. What
has been gathered up to each edge is kept; inside a panel, Gauss quadrature runs from its edge to t.
The variance is carried from edge to edge, every term of it positive, so that nothing cancels.

References:
    Sarkka & Solin, Applied Stochastic Differential Equations, 2019, section 6.1 (moments).
    Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, 1993, II.7 (collocation).
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from attrs import field, frozen
from numpy.polynomial import legendre
from torch import Tensor

from diffx_core.errors import ConfigError

Function = Callable[[Tensor], Tensor]

NODES = 16
"""Of each panel: exact for polynomials of degree 31, and for alpha inside of degree 15."""
PANELS = 32
"""At the beginning; those whose halves give another integral are cut in two."""
MAX_PANELS = 4096
DRIFT_TOLERANCE = 2e-15
"""Of log alpha, for each panel, absolute and relative."""
VARIANCE_TOLERANCE = 1e-14
"""Of sigma^2, for each panel, relative."""
LEAST_VARIANCE = 1e-8
"""Below this, or this share of the largest variance, the tolerance is absolute."""


@cache
def gauss(nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss-Legendre nodes and weights on [0, 1], and the integrals from 0 to each node.

    Row j of the matrix gives the integral from 0 to node j of the interpolating polynomial.
    """
    x, w = legendre.leggauss(nodes)
    coefficients = legendre.legvander(x, nodes - 1).T * w * (np.arange(nodes) + 0.5)[:, None]
    integrals = [legendre.legval(x, legendre.legint(row, lbnd=-1)) for row in np.eye(nodes)]
    to_node = np.stack(integrals, axis=1) @ coefficients / 2
    with torch.inference_mode(mode=False):
        return torch.from_numpy((x + 1) / 2), torch.from_numpy(w / 2), torch.from_numpy(to_node)


class Growth(NamedTuple):
    """What happens between two times: log alpha changes, and variance comes in.

    Args:
        drift: the integral of f.
        noise: the integral of g^2 / alpha^2, with alpha = 1 at the first of the two times.
    """

    drift: Tensor
    noise: Tensor


@frozen(eq=False)
class Moments:
    """Log alpha and sigma^2 at the edges of panels, and from there at all times.

    Args:
        drift: f, elementwise.
        diffusion: g, elementwise.
        edges: (P + 1,) rising times; this and the others in float64 on the CPU.
        start_std: the deviation at the first of them.
        log_alpha: (P + 1,) log alpha at the edges.
        variance: (P + 1,) sigma^2 at the edges.
        coarse: (P,) which panels are too wide for their integrals to be exact.
    """

    drift: Function
    diffusion: Function
    edges: Tensor
    start_std: float
    log_alpha: Tensor = field(init=False)
    variance: Tensor = field(init=False)
    coarse: Tensor = field(init=False)

    def __attrs_post_init__(self) -> None:
        low, high = self.edges[:-1], self.edges[1:]
        middle = (low + high) / 2
        whole = self.growth(low, high)
        first, second = self.growth(low, middle), self.growth(middle, high)
        drift = first.drift + second.drift
        noise = first.noise + (-2 * first.drift).exp() * second.noise
        kept = (2 * drift).exp()
        carried = [self.start_std**2]
        for share, grown in zip(kept.tolist(), noise.tolist(), strict=True):
            carried.append(share * (carried[-1] + grown))
        log_alpha = torch.cat([drift.new_zeros(1), drift.cumsum(0)])
        variance = drift.new_tensor(carried)
        # Written so that NaN is coarse: what overflows in a wide panel may not in a narrow one.
        good = (whole.drift - drift).abs() < DRIFT_TOLERANCE * (1 + log_alpha[1:].abs())
        least = LEAST_VARIANCE * variance.max().nan_to_num(0, 0).clamp(max=1)
        allowed = VARIANCE_TOLERANCE * torch.maximum(variance[1:], least)
        good &= kept * (whole.noise - noise).abs() <= allowed
        for name, value in (("log_alpha", log_alpha), ("variance", variance), ("coarse", ~good)):
            object.__setattr__(self, name, value)

    def growth(self, low: Tensor, high: Tensor) -> Growth:
        """What happens from `low` to `high`, elementwise, by one Gauss quadrature."""
        nodes, weights, to_node = gauss(NODES)
        width = (high - low)[..., None]
        t = low[..., None] + width * nodes
        drift = self.drift(t) * width
        noise = self.diffusion(t) ** 2 * (-2 * (drift @ to_node.T)).exp() * width
        return Growth(drift @ weights, noise @ weights)

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Log alpha and sigma^2 at t, which the ends of the process clamp; differentiable."""
        t = t.clamp(self.edges[0], self.edges[-1])
        panel = self.panel(self.edges, t.detach())
        growth = self.growth(self.edges[panel], t)
        return (
            self.log_alpha[panel] + growth.drift,
            (2 * growth.drift).exp() * (self.variance[panel] + growth.noise),
        )

    def bracket(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        """Two edges with the time of a log-SNR between them, and not on one of them if possible."""
        panel = self.panel(self.variance.log() - 2 * self.log_alpha, -log_snr)
        last = len(self.edges) - 1
        return self.edges[(panel - 1).clamp(min=0)], self.edges[(panel + 2).clamp(max=last)]

    def panel(self, rising: Tensor, value: Tensor) -> Tensor:
        """Between which two of P + 1 rising numbers a value is."""
        return (torch.bucketize(value, rising, right=True) - 1).clamp(0, len(rising) - 2)


def integrate(
    name: str, drift: Function, diffusion: Function, start: float, end: float, start_std: float
) -> Moments:
    """The moments from `start` to `end`, with panels that are cut until nothing changes.

    Raises:
        ConfigError: the integrals do not converge; the message begins with `name`.
    """
    edges = torch.linspace(start, end, PANELS + 1, dtype=torch.float64, device="cpu")
    while True:
        moments = Moments(drift, diffusion, edges, start_std)
        cuts = (edges[1:] + edges[:-1])[moments.coarse] / 2
        if not len(cuts):
            return moments
        finer = torch.cat([edges, cuts]).unique()
        # Between two neighbours of float64 there is nothing to cut.
        if len(finer) > MAX_PANELS or len(finer) == len(edges):
            raise ConfigError(
                f"{name}: the integrals of drift and diffusion do not converge near "
                f"t = {float(cuts[0]):.6g}; smooth them there, or let the process end before"
            )
        edges = finer
