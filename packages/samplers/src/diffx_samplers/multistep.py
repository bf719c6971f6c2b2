"""Methods that also use the estimates of earlier steps.

    x' = a x0 + b eps + sum_j w_j past_j + c z

where past_j are the x0 (or the eps) of the estimates before, newest first. All weights are known
from the plan. A method is a function that fills the rows; most of them integrate the polynomial
through what was estimated, which `interpolated` weighs.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from attrs import frozen
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise


class Row(NamedTuple):
    """The weights of one step.

    Args:
        x0: of the data end of the estimate.
        eps: of its noise end.
        past: of what was kept of earlier estimates, newest first.
        noise: of fresh noise.
    """

    x0: float
    eps: float
    past: Sequence[float] = ()
    noise: float = 0.0


class Memory(NamedTuple):
    """What goes from step to step.

    Args:
        rows: the weights of every step.
        depths: how many estimates are still of use after each step.
        past: these estimates, newest first, each with what it is to be multiplied by.
    """

    rows: tuple[Row, ...]
    depths: tuple[int, ...]
    past: tuple[tuple[Tensor, float], ...] = ()


@frozen(kw_only=True)
class Multistep(Sampler[Memory]):
    """A linear multistep method: one network call a step."""

    keeps: ClassVar[Literal["x0", "eps"]] = "x0"
    """The end of the estimates that later steps use."""

    @abstractmethod
    def rows(self, plan: Plan) -> tuple[Row, ...]:
        """The weights of every step."""

    def start(self, plan: Plan) -> Memory:
        """The weights of every step, and nothing to remember."""
        rows = self.rows(plan)
        depths = [0]
        for row in reversed(rows[1:]):
            depths.append(max(len(row.past), depths[-1] - 1))
        return Memory(rows, tuple(reversed(depths)))

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Memory, noise: StepNoise
    ) -> tuple[Tensor, Memory]:
        """One linear combination."""
        rows, depths, past = state
        estimate, row, depth = denoise(x, plan.times[i]), rows[i], depths[i]
        moved = estimate.mix(row.x0, row.eps)
        for weight, (old, factor) in zip(row.past, past, strict=False):
            moved.add_(old, alpha=weight * factor)
        if row.noise:
            moved.add_(noise(), alpha=row.noise)
        if not depth:
            return moved, Memory(rows, depths)
        # The oldest is of no use any more, but its memory is: new memory costs more than the sums.
        oldest = past[-1][0] if len(past) >= depth else None
        of_x0, of_eps = (1.0, 0.0) if self.keeps == "x0" else (0.0, 1.0)
        kept = estimate.along(of_x0, of_eps, out=oldest)
        return moved, Memory(rows, depths, (kept, *past[: depth - 1]))


def history(levels: Sequence[float], i: int, most: int) -> list[float]:
    """The levels of step i and of up to `most` - 1 steps before it, newest first."""
    return list(levels[max(i - most + 1, 0) : i + 1])[::-1]


def interpolated(nodes: Sequence[float], moments: Sequence[float]) -> list[float]:
    """The weights of values at the nodes in the integral of the polynomial through them.

    Args:
        nodes: where the values are, all different.
        moments: the integrals of 1, u, u^2 and so on, as many as there are nodes.

    References:
        Bjorck and Pereyra, Solution of Vandermonde Systems of Equations, 1970.
    """
    weights, last = list(moments), len(nodes) - 1
    for k, node in enumerate(nodes[:-1]):
        for i in range(last, k, -1):
            weights[i] -= node * weights[i - 1]
    for k in range(last - 1, -1, -1):
        for i in range(k + 1, last + 1):
            weights[i] /= nodes[i] - nodes[i - k - 1]
        for i in range(k, last):
            weights[i] -= weights[i + 1]
    return weights
