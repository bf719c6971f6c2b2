"""An exact denoiser that says what it knows as a network with a prediction would.

With both ends known, F = p x0 + q eps is what a perfect network returns; read back, it must lead to
the same samples whatever the prediction.
"""

from collections.abc import Iterable
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.estimate import Decoding, Estimate, spread
from diffx_core.noise import NoiseSource
from diffx_core.prediction import Level, Prediction
from diffx_core.sampler import Sampler
from diffx_core.sampling import plan_for, sample
from diffx_core.scheduler import Scheduler
from diffx_core.testing.marginal_laws import IMAGE, conditions
from diffx_core.testing.oracle import MixtureDenoiser

SAMPLES = 4
"""Of each kind that are compared."""


@frozen(eq=False)
class PredictedDenoiser:
    """A denoiser whose answers go through a prediction's output.

    Args:
        inner: the denoiser that knows.
        prediction: what the output means.
        sigma_data: root mean square of the data.
    """

    inner: Denoiser
    prediction: Prediction
    sigma_data: float = 1.0

    @property
    def scheduler(self) -> Scheduler:
        """The process."""
        return self.inner.scheduler

    @property
    def t_min(self) -> float:
        """The earliest time of the inner denoiser."""
        return self.inner.t_min

    @property
    def t_max(self) -> float:
        """The latest time at which the prediction can be read."""
        return self.prediction.horizon(self.scheduler)

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Nothing but what the inner denoiser prepares."""
        self.inner.prepare(times, device)

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """Both ends of the path, read from the output."""
        known = self.inner(x, t, cond)
        level = Level(self.scheduler, torch.as_tensor(t, dtype=torch.float64), self.sigma_data)
        p, q = (spread(one.to(x), x) for one in self.prediction.target(level))
        decoding = self.prediction.decode(level)
        if isinstance(t, float):
            decoding = Decoding(*(float(one) for one in decoding))
        return Estimate(x, p * known.x0 + q * known.eps, decoding)


def disagreement(sampler: Sampler[Any], scheduler: Scheduler, prediction: Prediction) -> float:
    """How far samples of a mixture that are read through a prediction are from the others.

    Both go through the same times with the same noise, and are told the same where the process has
    an anchor.
    """
    cond = conditions(SAMPLES)
    anchored = scheduler.anchor(cond) is not None
    shape = IMAGE if anchored else (3,)
    exact = MixtureDenoiser(scheduler)
    through = PredictedDenoiser(exact, prediction)
    noise, plan = NoiseSource(0, range(SAMPLES), dtype=torch.float64), plan_for(sampler, through)
    told = cond if anchored else None
    first, second = (
        sample(sampler, one, shape, noise=noise, cond=told, plan=plan) for one in (exact, through)
    )
    return float((first - second).abs().max())
