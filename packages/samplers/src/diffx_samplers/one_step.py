"""Methods that use one estimate for each step.

Because x = alpha x0 + sigma eps holds for every estimate, each of them reads

    x' = a x0 + b eps + c z,    z ~ N(0, I),

with (a, b, c) known from the plan alone. A method is a function that fills the table of these
triples.
"""

from abc import abstractmethod
from typing import NamedTuple

from attrs import frozen
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise


class Transition(NamedTuple):
    """The weights of the data, the noise of the estimate and fresh noise in the next x."""

    x0: float
    eps: float
    noise: float


Table = tuple[Transition, ...]


def landing(plan: Plan) -> Transition:
    """The last step of every method onto clean data: the estimate of the data itself."""
    return Transition(plan.alpha[-1], 0.0, 0.0)


def advance(
    denoise: Denoise,
    x: Tensor,
    t: float,
    transition: Transition,
    noise: StepNoise,
) -> Tensor:
    """One step."""
    moved = denoise(x, t).mix(transition.x0, transition.eps)
    return moved.add_(noise(), alpha=transition.noise) if transition.noise else moved


@frozen(kw_only=True)
class OneStep(Sampler[Table]):
    """A method that uses one estimate for each step."""

    @abstractmethod
    def table(self, plan: Plan) -> Table:
        """The transition of every step."""

    def start(self, plan: Plan) -> Table:
        """The transition of every step."""
        return self.table(plan)

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Table, noise: StepNoise
    ) -> tuple[Tensor, Table]:
        """One transition."""
        return advance(denoise, x, plan.times[i], state[i], noise), state
