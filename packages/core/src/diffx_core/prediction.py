"""What a network's output F means.

A prediction names the number that the network is trained to say as a mixture of the two ends of the
path,

    F = p x0 + q eps,

and with x = alpha x0 + sigma eps the ends follow by solving two linear equations,

    x0  = (q x - sigma F) / (alpha q - sigma p),        eps = (alpha F - p x) / (alpha q - sigma p).

The determinant vanishes at no noise level for v, flow and edm. It is alpha for eps and score,
-sigma for x0: there one end is read directly and the other is unknown exactly where the path does
not contain it.

    eps     F = eps
    x0      F = x0
    score   F = sigma * score = -eps
    v       F = (alpha eps - sigma x0) / sqrt(alpha^2 + sigma^2)
    flow    F = (alpha' x0 + sigma' eps) / max(|alpha'|, |sigma'|), the velocity for rectified flow
    edm     F = (x0 - c_skip x / alpha) / c_out, of unit variance at every noise level

References:
    Salimans & Ho, Progressive Distillation, 2022, arXiv:2202.00512 (v).
    Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364 (edm).
    Lipman et al., Flow Matching, 2023, arXiv:2210.02747 (flow).
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.estimate import Decoding
from diffx_core.options import PredictionName
from diffx_core.scheduler import Scheduler

MAX_NOISE_RATIO = 20.0
"""The largest sigma / alpha at which x0 is read from eps, whose errors it multiplies.

Latent diffusion models that predict eps end at 14.6.
"""

JUST_INSIDE = 1e-6
"""How far into the process, as a share of half of it, the direction of a path is read instead.

At an end where it has no speed, or an infinite one, as that of sqrt(t).
"""

Target = tuple[Tensor, Tensor]
"""p and q of F = p x0 + q eps."""


@frozen(eq=False)
class Level:
    """The noise level at the times t, as far as a prediction needs to know it.

    All tensors have the shape of t.

    Args:
        scheduler: the process.
        t: times.
        sigma_data: root mean square of the data.
    """

    scheduler: Scheduler
    t: Tensor
    sigma_data: float

    @cached_property
    def alpha(self) -> Tensor:
        """How much of the data is left."""
        return self.scheduler.alpha(self.t)

    @cached_property
    def sigma(self) -> Tensor:
        """The standard deviation of the noise."""
        return self.scheduler.sigma(self.t)

    @cached_property
    def alpha_rate(self) -> Tensor:
        """The time derivative of alpha; read by flow prediction alone."""
        return self.scheduler.alpha_rate(self.t)

    @cached_property
    def sigma_rate(self) -> Tensor:
        """The time derivative of sigma; read by flow prediction alone."""
        return self.scheduler.sigma_rate(self.t)

    @cached_property
    def spread(self) -> Tensor:
        """The standard deviation of x: sqrt(alpha^2 sigma_data^2 + sigma^2)."""
        return torch.hypot(self.alpha * self.sigma_data, self.sigma)


class Prediction(NamedTuple):
    """A meaning of the network's output.

    Args:
        name: how options spell it.
        target: the level to p and q.
        reads: the end that the output is up to its sign, if any.
    """

    name: PredictionName
    target: Callable[[Level], Target]
    reads: str | None = None

    def horizon(self, scheduler: Scheduler) -> float:
        """The latest time at which x0 can be read without magnifying the network's errors.

        eps, score, and flow where only the noise moves, magnify them by sigma / alpha.
        """
        end = torch.tensor(scheduler.t_max, dtype=torch.float64)
        magnified = abs(float(self.decode(Level(scheduler, end, 1.0)).x0_f))
        if magnified <= MAX_NOISE_RATIO:
            return scheduler.t_max
        least = torch.tensor(-2 * math.log(MAX_NOISE_RATIO), dtype=torch.float64)
        return float(scheduler.time_of(least))

    def decode(self, level: Level) -> Decoding:
        """The four numbers that turn (x, F) into both ends."""
        p, q = self.target(level)
        determinant = level.alpha * q - level.sigma * p
        x0_x, x0_f = q / determinant, -level.sigma / determinant
        eps_x, eps_f = -p / determinant, level.alpha / determinant
        if self.reads == "x0":
            x0_x, x0_f = torch.zeros_like(p), 1 / p
        elif self.reads == "eps":
            eps_x, eps_f = torch.zeros_like(q), 1 / q
        return Decoding(x0_x, x0_f, eps_x, eps_f)


def _eps(level: Level) -> Target:
    return torch.zeros_like(level.alpha), torch.ones_like(level.alpha)


def _x0(level: Level) -> Target:
    return torch.ones_like(level.alpha), torch.zeros_like(level.alpha)


def _score(level: Level) -> Target:
    return torch.zeros_like(level.alpha), -torch.ones_like(level.alpha)


def _v(level: Level) -> Target:
    radius = torch.hypot(level.alpha, level.sigma)
    return -level.sigma / radius, level.alpha / radius


def _flow(level: Level) -> Target:
    rates = torch.stack([level.alpha_rate, level.sigma_rate])
    speed = rates.abs().amax(0)
    lost = ~(speed.isfinite() & (speed > 0))
    if lost.any():  # at an end where the path stands still, or noise sets in at infinite speed
        middle = (level.scheduler.t_min + level.scheduler.t_max) / 2
        inside = torch.lerp(level.t, torch.full_like(level.t, middle), JUST_INSIDE)
        near = [level.scheduler.alpha_rate(inside), level.scheduler.sigma_rate(inside)]
        rates = torch.where(lost, torch.stack(near), rates)
        speed = rates.abs().amax(0)
    p, q = rates / speed
    return p, q


def _edm(level: Level) -> Target:
    p = level.sigma / (level.sigma_data * level.spread)
    return p, -level.alpha * level.sigma_data / level.spread


PREDICTIONS: dict[PredictionName, Prediction] = {
    prediction.name: prediction
    for prediction in (
        Prediction("eps", _eps, reads="eps"),
        Prediction("x0", _x0, reads="x0"),
        Prediction("score", _score, reads="eps"),
        Prediction("v", _v),
        Prediction("flow", _flow),
        Prediction("edm", _edm),
    )
}
"""Every meaning that an output can have, by name."""


def prediction_named(name: str) -> Prediction:
    """The prediction that an option asks for."""
    for prediction in PREDICTIONS.values():
        if prediction.name == name:
            return prediction
    raise ConfigError(f"unknown prediction {name!r}: choose from {', '.join(PREDICTIONS)}")
