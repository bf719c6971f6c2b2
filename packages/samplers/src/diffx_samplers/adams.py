"""Adams-Bashforth methods of the noise end, in kappa = sigma / alpha.

x / alpha moves with d(x / alpha) / d kappa = eps, so a step is

    x' = (alpha'/alpha) x + alpha' sum_j w_j eps_j,    sum_j w_j = kappa' - kappa

over the estimates eps_j at hand. DEIS integrates the polynomial in kappa through them; iPNDM takes
the weights of equal steps whatever the steps are, and so is of second order at most, but is hard to
beat in ten steps.

A step from infinite kappa, where no data are left, takes eps as constant. For later steps what it
leaves stands at twice the next kappa: eps is linear in 1 / kappa there, and that gives its slope.
"""

import math
from abc import abstractmethod
from typing import ClassVar, Literal

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_core import Plan
from diffx_samplers.multistep import Multistep, Row, history, interpolated

EQUAL_STEPS: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""The weights of Adams and Bashforth, newest first."""


@frozen(kw_only=True)
class AdamsBashforth(Multistep):
    """An Adams-Bashforth method in sigma / alpha: one network call a step."""

    keeps: ClassVar[Literal["x0", "eps"]] = "eps"

    order: int = field(default=3, validator=and_(ge(1), le(4)))

    @abstractmethod
    def weights(self, nodes: list[float]) -> list[float]:
        """The weights of the estimates at nodes 0 and below, for a step from 0 to 1."""

    def rows(self, plan: Plan) -> tuple[Row, ...]:
        """The weights of every step; of order one from infinite kappa."""
        levels = list(zip(plan.alpha, plan.sigma, strict=True))
        kappa = [sigma / alpha if alpha else math.inf for alpha, sigma in levels]
        singular = math.isinf(kappa[0])
        if singular:
            kappa[0] = 2 * kappa[1]
        rows = []
        for i, (alpha, sigma) in enumerate(levels[1:]):
            if singular and i == 0:
                rows.append(Row(alpha, sigma))
                continue
            h = kappa[i + 1] - kappa[i]
            nodes = [(one - kappa[i]) / h for one in history(kappa, i, self.order)]
            now, *past = (alpha * h * weight for weight in self.weights(nodes))
            rows.append(Row(alpha, alpha * kappa[i] + now, past))
        return tuple(rows)


@frozen(kw_only=True)
class DEIS(AdamsBashforth):
    """DEIS (rhoAB): Adams-Bashforth in sigma / alpha for steps of any size.

    Args:
        order: how many estimates are used.

    References:
        Zhang & Chen, Fast Sampling with Exponential Integrator, 2022, arXiv:2204.13902.
    """

    @property
    def rate(self) -> int:
        """The order."""
        return self.order

    def weights(self, nodes: list[float]) -> list[float]:
        """The integral of the polynomial through the estimates."""
        return interpolated(nodes, [1 / (k + 1) for k in range(len(nodes))])


@frozen(kw_only=True)
class IPNDM(AdamsBashforth):
    """iPNDM: the Adams-Bashforth weights of equal steps, on any grid.

    Args:
        order: how many estimates are used; the error falls with the second power at most.

    References:
        Liu et al., Pseudo Numerical Methods for Diffusion Models, 2022, arXiv:2202.09778.
        Zhang & Chen, Fast Sampling with Exponential Integrator, 2022, arXiv:2204.13902.
    """

    order: int = field(default=4, validator=and_(ge(1), le(4)))

    @property
    def rate(self) -> int:
        """Two at most: the weights are those of equal steps."""
        return min(self.order, 2)

    def weights(self, nodes: list[float]) -> list[float]:
        """Those of equal steps."""
        return list(EQUAL_STEPS[len(nodes) - 1])
