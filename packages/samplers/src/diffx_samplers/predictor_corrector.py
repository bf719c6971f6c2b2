"""Predictor-corrector sampling: after every step, Langevin dynamics at the new noise level.

    x <- x + h score + sqrt(2 h) z,    h = 2 a (snr sigma / rms(eps))^2
    a = (alpha_t / alpha_s)^2

This is h = 2 a (snr |z| / |score|)^2 of the reference, with |z| at its expectation, so that a step
does not depend on the noise it scales. rms(eps) is each sample's own, so a sample does not depend
on its batch, and is bounded below: in few dimensions eps comes close to zero by chance. a = 1 -
beta for the discrete variance-preserving process, 1 for the variance-exploding one. There is no
correction of clean data.
"""

from typing import Literal, get_args

from attrs import field, frozen
from attrs.validators import ge, gt, in_
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise
from diffx_samplers.ddim import ddim_table
from diffx_samplers.euler_maruyama import euler_maruyama_table
from diffx_samplers.one_step import Table, advance

Predictor = Literal["euler_maruyama", "ancestral", "ddim"]

LEAST_RMS = 0.5
"""The smallest root mean square of eps that a step is divided by; noise itself has 1."""


@frozen(kw_only=True)
class PredictorCorrector(Sampler[Table]):
    """Predictor-corrector: stochastic, first order, 1 + corrector_steps network calls a step.

    The last step needs one call.

    Args:
        predictor: the method of the step itself.
        snr: size of the corrector's steps, as the ratio of score to noise.
        corrector_steps: Langevin steps after each step of the predictor.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456,
        algorithms 2-5.
    """

    predictor: Predictor = field(default="ancestral", validator=in_(get_args(Predictor)))
    snr: float = field(default=0.16, validator=gt(0))
    corrector_steps: int = field(default=1, validator=ge(0))

    @property
    def stochastic(self) -> bool:
        """Always: the corrector is."""
        return True

    @property
    def nfe(self) -> int:
        """One call for each prediction, one for each correction; the last step needs none."""
        return self.steps + self.corrector_steps * (self.steps - 1)

    def start(self, plan: Plan) -> Table:
        """The transitions of the predictor."""
        if self.predictor == "euler_maruyama":
            return euler_maruyama_table(plan, "reverse_sde")
        return ddim_table(plan, eta=1.0 if self.predictor == "ancestral" else 0.0)

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Table, noise: StepNoise
    ) -> tuple[Tensor, Table]:
        """One transition, then the corrections at the level it led to."""
        x = advance(denoise, x, plan.times[i], state[i], noise)
        if i + 1 < plan.steps:
            for k in range(self.corrector_steps):
                x = self._correct(denoise, x, i + 1, plan, noise(1 + k))
        return x, state

    def _correct(self, denoise: Denoise, x: Tensor, i: int, plan: Plan, z: Tensor) -> Tensor:
        sigma = plan.sigma[i]
        eps = denoise(x, plan.times[i]).eps
        size = self.snr * sigma * plan.alpha[i] / plan.alpha[i + 1]
        h = 2 * (size / root_mean_square(eps).clamp(min=LEAST_RMS)) ** 2
        return x - h / sigma * eps + (2 * h).sqrt() * z


def root_mean_square(x: Tensor) -> Tensor:
    """The root mean square of each sample (B, *), shaped to divide it."""
    return x.square().mean(dim=tuple(range(1, x.ndim)), keepdim=True).sqrt()
