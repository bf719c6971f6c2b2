"""The training objective: mean squared error of the network's output, at random times.

    loss = mean |F(x_t, t, cond) - (p x0 + q eps)|^2,    x_t = alpha x0 + sigma eps

With p and q of the prediction (see `diffx_core.prediction`); every target has about unit variance.
Everything random is keyed by (seed, step, place in the batch), so a step can be repeated exactly.
"""

from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Batch, Condition
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.estimate import columns
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
        scheduler = denoiser.scheduler
        anchor = scheduler.anchor(batch.cond)
        x0 = batch.x if anchor is None else batch.x - anchor
        noise = NoiseSource(self.seed, range(len(x0)), "train", x0.device, x0.dtype)
        t = uniform_times(scheduler, len(x0), self.seed, step)
        eps = scheduler.noise(noise, x0.shape[1:], step)
        level = Level(scheduler, t, denoiser.sigma_data)
        alpha, sigma, p, q = columns(
            x0, level.alpha, level.sigma, *denoiser.prediction.target(level)
        )
        told = self._told(batch.cond, noise, step)
        output = denoiser.output(alpha * x0 + sigma * eps, level, told)
        return (output - (p * x0 + q * eps)).square().mean()

    def _told(self, cond: Condition, noise: NoiseSource, step: int) -> Condition:
        if cond.label is None or self.options.label_dropout == 0:
            return cond
        chance = noise.named("label").uniform(step)
        return cond.dropped(chance < self.options.label_dropout)
