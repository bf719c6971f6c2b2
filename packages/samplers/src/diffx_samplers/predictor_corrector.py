"""Predictor-corrector sampling: after every step, Langevin dynamics at the new noise level.

    x <- x + h score + sqrt(2 h) z,    h = 2 (snr sigma)^2

is the reference's h = 2 a (snr |z| / |score|)^2 with both norms at their expectations for pure
noise, and a = 1 as for infinitely many steps. Norms of single samples would change the law that the
corrector is there to keep: in the plane |score| comes close to zero by chance, and samples escape.
In the form of one-step methods the correction is

    x <- alpha x0 + sigma (1 - 2 snr^2) eps + 2 snr sigma z.
"""

from functools import partial
from typing import get_args

from attrs import field, frozen
from attrs.validators import ge, gt, in_
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise
from diffx_samplers.one_step import Table, Transition, advance
from diffx_samplers.rules import RULES, Rule


@frozen(kw_only=True)
class PredictorCorrector(Sampler[Table]):
    """Predictor-corrector: stochastic, 1 + corrector_steps network calls a step.

    The last step needs one call. The predictor is of first order.

    Args:
        predictor: the method of the step itself: ancestral and large are `ddpm` with either
            variance, euler and euler_maruyama steps in the process's time, and ddim.
        snr: size of the corrector's steps, as the ratio of score to noise.
        corrector_steps: Langevin steps after each step of the predictor.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456,
        algorithms 2-5.
    """

    predictor: Rule = field(default="ancestral", validator=in_(get_args(Rule)))
    snr: float = field(default=0.16, validator=gt(0))
    corrector_steps: int = field(default=1, validator=ge(0))

    @property
    def stochastic(self) -> bool:
        """Always: the corrector is."""
        return True

    @property
    def converges(self) -> bool:
        """Only without a corrector, which inflates the variance by up to snr^2 at any step size."""
        return self.corrector_steps == 0

    @property
    def nfe(self) -> int:
        """One call for each prediction, one for each correction; the last step needs none."""
        return self.steps + self.corrector_steps * (self.steps - 1)

    def start(self, plan: Plan) -> Table:
        """The transitions of the predictor."""
        return RULES[self.predictor].table(plan)

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Table, noise: StepNoise
    ) -> tuple[Tensor, Table]:
        """One transition, then the corrections at the level it led to."""
        x = advance(denoise, x, plan.times[i], state[i], noise)
        if i + 1 < plan.steps:
            correction = self.correction(plan.alpha[i + 1], plan.sigma[i + 1])
            share = plan.spans[i][1]  # noise at one level, which is no part of the path of a step
            for k in range(self.corrector_steps):
                fresh = partial(noise, 1 + k, (share, share))
                x = advance(denoise, x, plan.times[i + 1], correction, fresh)
        return x, state

    def correction(self, alpha: float, sigma: float) -> Transition:
        """One Langevin step at a level."""
        return Transition(alpha, sigma * (1 - 2 * self.snr**2), 2 * self.snr * sigma)
