"""Euler-Maruyama on the reverse-time SDE, with any amount of noise.

    dx = [v - w/2 score] dt + sqrt(w) dW,    v = alpha_dot x0 + sigma_dot eps,    score = -eps/sigma

has the marginals of the process for every w(t) >= 0. w = g^2 is Anderson's reverse SDE. With the
estimate kept for the whole step, the rest is linear in x and solved exactly:

    x' = alpha' x0 + sigma' exp(-I/2) eps + sigma' sqrt(1 - exp(-I)) z,    I = int w / sigma^2 dt,

which nothing can make explode, and for w = g^2 is ancestral sampling. The classic form keeps
everything but x for the step,

    x' = (alpha - alpha_dot dt) x0 + (sigma - (sigma_dot + w/(2 sigma)) dt) eps + sqrt(w dt) z.

It is limited where a step is too long for that, or g infinite (rectified flow at t = 1): no more
fresh noise than the next level has, and no weight of eps below zero. Short steps never meet the
limits.

The functions w are given in s = sigma / (alpha + sigma), the time of rectified flow, for which they
were proposed: so they are the same SDE for every process.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from attrs import field, frozen
from attrs.validators import ge, in_
from torch import Tensor

from diffx_core import Plan
from diffx_samplers.one_step import OneStep, Table, Transition, landing

Stochasticity = Literal["reverse_sde", "sigma", "sin2", "constant", "cosine"]
Form = Literal["exponential", "classic"]

W: dict[Stochasticity, Callable[[Tensor], Tensor]] = {
    "reverse_sde": lambda s: 2 * s / (1 - s),
    "sigma": torch.clone,
    "sin2": lambda s: (math.pi * s).sin() ** 2,
    "constant": torch.ones_like,
    "cosine": lambda s: ((math.pi * s).cos() + 1) ** 2 / 4,
}
"""w as functions of s, for rectified flow."""

NODES = 64
"""Of the quadrature in log s, over one step: exact to rounding for steps down to s / 10^5."""


def exponents(plan: Plan, stochasticity: Stochasticity) -> list[float]:
    """The integral I over every step that does not end on clean data."""
    if stochasticity == "reverse_sde":
        ell = plan.half_log_snr
        return [2 * (ell[i + 1] - ell[i]) for i in range(plan.steps)]
    s = torch.tensor([[a, b] for a, b in plan.spans if b > 0], dtype=torch.float64).reshape(-1, 2)
    u, weight = (torch.from_numpy(one) for one in np.polynomial.legendre.leggauss(NODES))
    high, low = s.log().T[..., None]
    at = ((high + low) / 2 + (high - low) / 2 * u).exp()
    means = (W[stochasticity](at) / at) @ weight / 2
    integrals: list[float] = ((high - low)[:, 0] * means).tolist()
    return integrals


@frozen(kw_only=True)
class EulerMaruyama(OneStep):
    """Euler-Maruyama: weak order one, one network call a step, stochastic.

    Args:
        stochasticity: w: reverse_sde is g^2, the others are sigma, sin^2(pi t), 1 and (cos(pi t) +
            1)^2 / 4 in the time of rectified flow.
        eta: factor of w; 0 is the probability-flow ODE.
        form: exponential solves exactly what is linear, classic keeps it constant for a step.

    References:
        Anderson, Reverse-time Diffusion Equation Models, 1982.
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456.
        Ma et al., SiT, 2024, arXiv:2401.08740 (the family of w).
    """

    stochasticity: Stochasticity = field(
        default="reverse_sde", validator=in_(get_args(Stochasticity))
    )
    eta: float = field(default=1.0, validator=ge(0))
    form: Form = field(default="exponential", validator=in_(get_args(Form)))

    @property
    def stochastic(self) -> bool:
        """Whether there is noise."""
        return self.eta > 0

    def table(self, plan: Plan) -> Table:
        """The transitions."""
        rows = self._exponential(plan) if self.form == "exponential" else self._classic(plan)
        return (*rows[: plan.steps - 1], landing(plan)) if plan.sigma[-1] == 0 else tuple(rows)

    def _exponential(self, plan: Plan) -> list[Transition]:
        rows = []
        for i, exponent in enumerate(exponents(plan, self.stochasticity)):
            alpha, sigma, spent = plan.alpha[i + 1], plan.sigma[i + 1], 0.0
            if self.eta:
                spent = self.eta * exponent
            noise = sigma * math.sqrt(-math.expm1(-spent))
            rows.append(Transition(alpha, sigma * math.exp(-spent / 2), noise))
        return rows

    def _classic(self, plan: Plan) -> list[Transition]:
        t = torch.tensor(plan.times[:-1], dtype=torch.float64)
        process = plan.scheduler
        alpha, sigma = process.alpha(t), process.sigma(t)
        alpha_rate, sigma_rate = process.alpha_rate(t), process.sigma_rate(t)
        s = sigma / (alpha + sigma)
        s_rate = (sigma_rate * alpha - alpha_rate * sigma) / (alpha + sigma) ** 2
        spent = W[self.stochasticity](s) / s**2 * s_rate  # w / sigma^2 in the process's own time
        columns = (one.tolist() for one in (alpha, sigma, alpha_rate, sigma_rate, spent))
        rows = []
        for i, (a, b, a_rate, b_rate, w) in enumerate(zip(*columns, strict=True)):
            dt = plan.times[i] - plan.times[i + 1]
            fresh = self.eta * w * dt if self.eta else 0.0
            eps = max(0.0, b - b_rate * dt - b * fresh / 2)
            noise = min(b * math.sqrt(fresh), plan.sigma[i + 1])
            rows.append(Transition(a - a_rate * dt, eps, noise))
        return rows
