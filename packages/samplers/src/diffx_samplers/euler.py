"""Euler's method on the velocity of the probability-flow ODE.

In the process's own time,

    x' = x + (t' - t) (alpha_dot x0 + sigma_dot eps),

so the levels of x' are those of the tangents, not alpha' and sigma'. In sigma / alpha, for x /
alpha, they are alpha' and sigma' themselves, and the method is DDIM. For rectified flow both agree.

A step in time that is so long that the tangent of sigma falls below zero keeps no noise.
"""

from typing import Literal, get_args

import torch
from attrs import field, frozen
from attrs.validators import in_

from diffx_core import Plan
from diffx_samplers.ddim import DDIM
from diffx_samplers.one_step import OneStep, Table, Transition, landing

Coordinates = Literal["edm", "native"]


@frozen(kw_only=True)
class Euler(OneStep):
    """Euler: first order, one network call a step, deterministic.

    Args:
        coords: where steps are straight: edm in sigma / alpha, native in the process's time.

    References:
        Song et al., Score-Based Generative Modeling through SDEs, 2021, arXiv:2011.13456, eq. 13.
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, section 3.
    """

    coords: Coordinates = field(default="edm", validator=in_(get_args(Coordinates)))

    def table(self, plan: Plan) -> Table:
        """The transitions."""
        if self.coords == "edm":
            return DDIM().table(plan)
        t = torch.tensor(plan.times, dtype=torch.float64)
        alpha_rate = plan.scheduler.alpha_rate(t[:-1]).tolist()
        sigma_rate = plan.scheduler.sigma_rate(t[:-1]).tolist()
        rows = []
        for i in range(plan.steps):
            dt = plan.times[i + 1] - plan.times[i]
            eps = max(0.0, plan.sigma[i] + sigma_rate[i] * dt)
            rows.append(Transition(plan.alpha[i] + alpha_rate[i] * dt, eps, 0.0))
        if plan.sigma[-1] == 0:
            rows[-1] = landing(plan)
        return tuple(rows)
