"""RePaint's jumps: down some steps, back up by the forward kernel, down again, all the way.

When a part of x is given from outside at every level (`Replacement`), one step down makes the rest
agree with it only a little. Every `jump` steps the forward kernel takes x back to where these steps
began, and the steps are repeated: `resamples` ways in all, each with fresh noise. Because the
kernel is exact, the jumps keep the law of the samples also where nothing is given.
"""

from functools import partial
from typing import NamedTuple, get_args

from attrs import field, frozen
from attrs.validators import and_, ge, le
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise, one_of
from diffx_samplers.one_step import Table, advance
from diffx_samplers.renoise import Jump, jump
from diffx_samplers.rules import RULES, Rule


class State(NamedTuple):
    """The transitions of the rule, and the kernels by the step after which they act."""

    table: Table
    jumps: dict[int, Jump]


@frozen(kw_only=True)
class RePaint(Sampler[State]):
    """RePaint: a one-step rule whose steps are repeated; for inpainting, with `Replacement`.

    Args:
        rule: what a step is.
        jump: how many steps are repeated at once.
        resamples: how often they are done; 1 is the rule alone.

    References:
        Lugmayr et al., RePaint, 2022, arXiv:2201.09865, algorithm 1 and appendix B.
    """

    rule: Rule = field(default="ddim", validator=one_of(get_args(Rule)))
    jump: int = field(default=10, validator=ge(1))
    resamples: int = field(default=10, validator=and_(ge(1), le(1000)))

    @property
    def rate(self) -> int:
        """That of the rule."""
        return RULES[self.rule].rate

    @property
    def stochastic(self) -> bool:
        """Whether it jumps, or the rule draws noise."""
        return self.resamples > 1 or RULES[self.rule].stochastic

    @property
    def nfe(self) -> int:
        """One call for each step, each time; the last step, onto clean data, is done once."""
        repeated = (self.steps - 1) // self.jump * self.jump
        return self.steps + (self.resamples - 1) * repeated

    def start(self, plan: Plan) -> State:
        """Where it jumps: so that the last jump is from the last level with noise."""
        jumps = {}
        for end in range(plan.steps - 1, self.jump - 1, -self.jump):
            begin = end - self.jump
            level = plan.alpha[end], plan.sigma[end]
            jumps[end - 1] = jump(*level, plan.alpha[begin], plan.sigma[begin])
        return State(RULES[self.rule].table(plan), jumps)

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: State, noise: StepNoise
    ) -> tuple[Tensor, State]:
        """One step of the rule; where a jump is due, all that is repeated."""
        x = advance(denoise, x, plan.times[i], state.table[i], noise)
        if i in state.jumps:
            kept, fresh = state.jumps[i]
            share = plan.spans[i][1]  # noise at one level, which is no part of the path of a step
            again = range(i + 1 - self.jump, i + 1)
            for way in range(1, self.resamples):
                draw = way * (self.jump + 1)
                x = (x * kept).add_(noise(draw, (share, share)), alpha=fresh)
                for k, j in enumerate(again, draw + 1):
                    z = partial(noise, k, (share, share))
                    x = advance(denoise, x, plan.times[j], state.table[j], z)
        return x, state
