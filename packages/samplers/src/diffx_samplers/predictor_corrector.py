"""Predictor-corrector sampling: after every step, Langevin dynamics at the new noise level.

    x <- x + h score + sqrt(2 h) z,    h = 2 (snr sigma q)^2

is the reference's h = 2 a (snr |z| / |score|)^2 for q = |z| / |eps|, and a = 1 as for infinitely
many steps. For q = 1, both norms at their expectations for pure noise, the steps are of one size at
one level, and the law that is kept is known exactly.

With the norms of each sample, steps follow how much of x is noise. But then they depend on x, which
changes the law where norms are not nearly constant: in the plane |eps| comes close to zero by
chance, and samples escape. So both norms have that of a few more numbers of unit size in them,

    q^2 = (|z|^2 + m) / (|eps|^2 + m),

which is one in few dimensions, and the ratio of norms in many.

In the form of one-step methods the correction is

    x <- alpha x0 + sigma (1 - 2 snr^2 q^2) eps + 2 snr q sigma z.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, get_args

from attrs import evolve, field, frozen
from attrs.validators import and_, ge, gt, in_, le, lt
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise
from diffx_samplers.heun import Heun
from diffx_samplers.one_step import Transition, advance
from diffx_samplers.rules import RULES, Rule
from diffx_samplers.sde_heun import SDEHeun

Predictor = Literal[Rule, "heun", "sde_heun"]
StepSize = Literal["level", "norms"]

PREDICTORS = dict[str, Sampler[Any]]([*RULES.items(), ("heun", Heun()), ("sde_heun", SDEHeun())])

MORE = 16.0
"""m: by so many numbers of unit size a sample has more than it has."""


@frozen(kw_only=True)
class PredictorCorrector(Sampler[Any]):
    """Predictor-corrector: stochastic, with corrector_steps more network calls for each step.

    The last step, onto the expected data, is not corrected.

    Args:
        predictor: the method of the step itself: ancestral and large are `ddpm` with either
            variance, euler and euler_maruyama steps in the process's time, and ddim, with one call;
            heun and sde_heun with two.
        snr: size of the corrector's steps, as the ratio of score to noise.
        corrector_steps: Langevin steps after each step of the predictor.
        step_size: level has the same steps for all samples, which keep the law in any dimension;
            norms has those of each sample's own norms, for data of many dimensions.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456,
        algorithms 2-5.
    """

    predictor: Predictor = field(default="ancestral", validator=in_(get_args(Predictor)))
    snr: float = field(default=0.16, validator=and_(gt(0), lt(1)))
    corrector_steps: int = field(default=1, validator=and_(ge(0), le(1000)))
    step_size: StepSize = field(default="level", validator=in_(get_args(StepSize)))

    @property
    def rate(self) -> int:
        """That of the predictor."""
        return PREDICTORS[self.predictor].rate

    @property
    def stochastic(self) -> bool:
        """The corrector is, and some predictors are."""
        return self.corrector_steps > 0 or PREDICTORS[self.predictor].stochastic

    @property
    def converges(self) -> bool:
        """Only without a corrector, which inflates the variance by up to snr^2 at any step size."""
        return self.corrector_steps == 0

    @property
    def nfe(self) -> int:
        """The predictor's calls, and one for each correction; the last step needs none."""
        predictions = evolve(PREDICTORS[self.predictor], steps=self.steps).nfe
        assert predictions is not None, "the predictors count"
        return predictions + self.corrector_steps * (self.steps - 1)

    def asks(self, plan: Plan) -> Iterable[float]:
        """When the predictor asks; corrections ask where its steps begin."""
        return PREDICTORS[self.predictor].asks(plan)

    def start(self, plan: Plan) -> Any:  # noqa: ANN401  # the predictor's own
        """What the predictor needs."""
        return PREDICTORS[self.predictor].start(plan)

    def step(
        self,
        denoise: Denoise,
        x: Tensor,
        i: int,
        plan: Plan,
        state: Any,  # noqa: ANN401  # the predictor's own
        noise: StepNoise,
    ) -> tuple[Tensor, Any]:
        """One step of the predictor, then the corrections at the level it led to."""
        x, state = PREDICTORS[self.predictor].step(denoise, x, i, plan, state, noise)
        if i + 1 < plan.steps:
            alpha, sigma, t = plan.alpha[i + 1], plan.sigma[i + 1], plan.times[i + 1]
            share = plan.spans[i][1]  # noise at one level, which is no part of the path of a step
            for k in range(self.corrector_steps):
                fresh = partial(noise, 1 + k, (share, share))
                if self.step_size == "level":
                    x = advance(denoise, x, t, self.correction(alpha, sigma), fresh)
                else:
                    x = self._by_norms(denoise, x, t, sigma, fresh())
        return x, state

    def correction(self, alpha: float, sigma: float) -> Transition:
        """One Langevin step at a level, of the same size for all samples."""
        return Transition(alpha, sigma * (1 - 2 * self.snr**2), 2 * self.snr * sigma)

    def _by_norms(self, denoise: Denoise, x: Tensor, t: float, sigma: float, z: Tensor) -> Tensor:
        eps = denoise(x, t).eps
        axes = tuple(range(1, x.ndim))
        of_z, of_eps = (one.square().sum(axes, keepdim=True).add_(MORE) for one in (z, eps))
        step = (of_z / of_eps).sqrt_() * self.snr
        return x - (2 * sigma * step**2) * eps + (2 * sigma * step) * z
