"""Euler-Maruyama on the reverse-time SDE.

    dx = [v - w/2 score] dt + sqrt(w) dW,    v = alpha' x0 + sigma' eps,    score = -eps / sigma

has the marginals of the process for every w(t) >= 0. w = g^2 is Anderson's reverse SDE. One step
back over dt is

    x' = (alpha - alpha' dt) x0 + (sigma - (sigma' + w / (2 sigma)) dt) eps + sqrt(w dt) z.

Where a step is too long for that, or g infinite (rectified flow at t = 1), it is limited: no more
fresh noise than the next level has, and no weight of eps below zero. Shorter steps never meet the
limits, and no number of steps explodes.
"""

import math
from typing import Literal, get_args

import torch
from attrs import field, frozen
from attrs.validators import in_
from torch import Tensor

from diffx_core import Denoise, Plan, Sampler, StepNoise
from diffx_samplers.one_step import Table, Transition, advance, landing

Stochasticity = Literal["reverse_sde", "sigma"]


def squared_noise(plan: Plan, stochasticity: Stochasticity) -> list[float]:
    """The function w at every time of the plan but the last."""
    t = torch.tensor(plan.times[:-1], dtype=torch.float64)
    process = plan.scheduler
    w = {
        "reverse_sde": lambda: process.diffusion(t) ** 2,
        "sigma": lambda: 2 * process.sigma(t) * process.sigma_rate(t),
    }[stochasticity]()
    return [float(one) for one in w]


def euler_maruyama_table(plan: Plan, stochasticity: Stochasticity) -> Table:
    """The transitions of Euler-Maruyama over a plan."""
    t = torch.tensor(plan.times[:-1], dtype=torch.float64)
    alpha_rate = plan.scheduler.alpha_rate(t).tolist()
    sigma_rate = plan.scheduler.sigma_rate(t).tolist()
    w = squared_noise(plan, stochasticity)
    rows = []
    for i in range(plan.steps):
        dt = plan.times[i] - plan.times[i + 1]
        alpha, sigma = plan.alpha[i], plan.sigma[i]
        eps = max(0.0, sigma - (sigma_rate[i] + w[i] / (2 * sigma)) * dt)
        noise = min(math.sqrt(w[i] * dt), plan.sigma[i + 1])
        rows.append(Transition(alpha - alpha_rate[i] * dt, eps, noise))
    if plan.sigma[-1] == 0:
        rows[-1] = landing(plan)
    return tuple(rows)


@frozen(kw_only=True)
class EulerMaruyama(Sampler[Table]):
    """Euler-Maruyama: weak order one, one network call a step, stochastic.

    Args:
        stochasticity: w(t): reverse_sde is g^2, sigma is 2 sigma sigma'.

    References:
        Anderson, Reverse-time Diffusion Equation Models, 1982.
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456.
        Ma et al., SiT, 2024, arXiv:2401.08740 (the family of w).
    """

    stochasticity: Stochasticity = field(
        default="reverse_sde", validator=in_(get_args(Stochasticity))
    )

    @property
    def stochastic(self) -> bool:
        """Always."""
        return True

    def start(self, plan: Plan) -> Table:
        """The transitions."""
        return euler_maruyama_table(plan, self.stochasticity)

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Table, noise: StepNoise
    ) -> tuple[Tensor, Table]:
        """One transition."""
        return advance(denoise, x, plan.times[i], state[i], noise), state
