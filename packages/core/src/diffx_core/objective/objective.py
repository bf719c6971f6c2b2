"""The training objective: mean squared error of the network's output, at random times.

    loss = mean |F(x_t, t, cond) - (p x0 + q eps)|^2,    x_t = alpha x0 + sigma eps

With p and q of the prediction (see `diffx_core.prediction`); every target has about unit variance.
Everything random is keyed by (seed, step, sample index), so a step can be repeated exactly.
"""

from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Batch, Condition
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.estimate import spread
from diffx_core.noise import NoiseSource
from diffx_core.objective.times import uniform_times
from diffx_core.options import ObjectiveOptions
from diffx_core.prediction import Level


@frozen
class Objective:
    """The loss of a denoiser on a batch.

    Args:
        options: what is predicted, and how many labels are hidden.
        seed: of everything random.
    """

    options: ObjectiveOptions = ObjectiveOptions()
    seed: int = 0

    def __call__(self, denoiser: NetworkDenoiser, batch: Batch, step: int) -> Tensor:
        """The mean loss of the batch at one optimizer step."""
        x0 = batch.x
        noise = NoiseSource(self.seed, batch.index.tolist(), "train", x0.device, x0.dtype)
        t = uniform_times(denoiser.scheduler, len(x0), self.seed, step)
        eps = noise.normal(x0.shape[1:], step)
        level = Level(denoiser.scheduler, t, denoiser.sigma_data)
        p, q, alpha, sigma = (
            spread(c.to(x0), x0)
            for c in (*denoiser.prediction.target(level), level.alpha, level.sigma)
        )
        told = self._told(batch.cond, noise, step)
        output = denoiser(alpha * x0 + sigma * eps, t.to(x0), told).output
        return (output - (p * x0 + q * eps)).square().mean()

    def _told(self, cond: Condition, noise: NoiseSource, step: int) -> Condition:
        if cond.label is None or self.options.label_dropout == 0:
            return cond
        chance = noise.named("label").uniform(step)
        return cond.dropped(chance < self.options.label_dropout)
