"""Methods that also use the estimates of earlier steps.

    x' = a x0 + b eps + sum_j w_j past_j + c z

where past_j are the x0 (or the eps) of the estimates before, newest first. All weights are known
from the plan. A method is a function that fills the rows.
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
    """What goes from step to step."""

    rows: tuple[Row, ...]
    past: tuple[Tensor, ...] = ()


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
        return Memory(self.rows(plan))

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Memory, noise: StepNoise
    ) -> tuple[Tensor, Memory]:
        """One linear combination."""
        estimate, row = denoise(x, plan.times[i]), state.rows[i]
        moved = estimate.mix(row.x0, row.eps)
        for weight, old in zip(row.past, state.past, strict=False):
            moved.add_(old, alpha=weight)
        if row.noise:
            moved.add_(noise(), alpha=row.noise)
        depth = max((len(later.past) for later in state.rows[i + 1 : i + 5]), default=0)
        if not depth:
            return moved, Memory(state.rows)
        kept = estimate.x0 if self.keeps == "x0" else estimate.eps
        return moved, Memory(state.rows, (kept, *state.past)[:depth])
