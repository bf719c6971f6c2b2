"""The same method on the same grid, here and in the peers.

All processes are one in y = (1 - s) x0 + s eps, so diffusers is given every grid as that of a flow
model. k-diffusion takes sigma / alpha, and so only grids that begin where data are left.
"""

from functools import partial

import diffusers
import torch
from k_diffusion import sampling as k

from diffx_core import Plan
from peers.rivals import FLOW, run_diffusers, run_k


def shares(scheduler, sampler, calls):
    """The values of sigma / (alpha + sigma) that a sampler goes through with so many calls."""
    exact = sampler.with_nfe(calls)
    plan = Plan.of(scheduler, exact.times(scheduler, scheduler.t_max))
    return [plan.spans[0][0], *(end for _, end in plan.spans)]


def on_flow(peer, options, scheduler, sampler, mixture, calls):
    """A scheduler of diffusers; one that begins without data is moved by as little as it can be."""
    levels = shares(scheduler, sampler, calls)
    levels[0] = min(levels[0], 1 - 1e-6)
    return run_diffusers(peer(**options), FLOW, mixture, calls, sigmas=levels)


def on_ratios(function, scheduler, sampler, mixture, calls):
    """A sampler of k-diffusion."""
    levels = torch.tensor(shares(scheduler, sampler, calls), dtype=torch.float64)
    return run_k(function, levels / (1 - levels), mixture)


MULTISTEP = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
DPMPP, UNIPC = diffusers.DPMSolverMultistepScheduler, diffusers.UniPCMultistepScheduler
EVERYWHERE = {
    "Euler (diffusers)": (
        "ddim",
        {},
        partial(on_flow, diffusers.FlowMatchEulerDiscreteScheduler, {}),
    ),
    "DPM++2M (diffusers)": ("dpmpp", {"order": 2}, partial(on_flow, DPMPP, MULTISTEP)),
    "UniPC-2 (diffusers)": (
        "unipc",
        {"order": 2, "variable": "logsnr"},
        partial(on_flow, UNIPC, MULTISTEP),
    ),
    "UniPC-3 (diffusers)": (
        "unipc",
        {"order": 3, "variable": "logsnr"},
        partial(on_flow, UNIPC, {**MULTISTEP, "solver_order": 3}),
    ),
}
WITH_DATA = {
    "Euler (k-diffusion)": ("ddim", {}, partial(on_ratios, k.sample_euler)),
    "Heun (k-diffusion)": ("heun", {}, partial(on_ratios, k.sample_heun)),
    "DPM++2M (k-diffusion)": ("dpmpp", {"order": 2}, partial(on_ratios, k.sample_dpmpp_2m)),
    "LMS (k-diffusion)": ("deis", {"order": 4}, partial(on_ratios, k.sample_lms)),
}
PAIRS = {
    "VP linear": EVERYWHERE | WITH_DATA,
    "VP cosine": EVERYWHERE,
    "EDM": EVERYWHERE | WITH_DATA,
    "rectified flow": EVERYWHERE,
}
"""Process to row: the sampler's name, its options, and how the peer is run."""
