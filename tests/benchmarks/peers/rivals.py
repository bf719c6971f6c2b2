"""The schedulers of diffusers and the samplers of k-diffusion, on the problems of `problems`.

Both are asked as their own pipelines ask them, but every network call is answered exactly, at the
noise level that the method itself assumes. Import this module only where both are installed.
"""

from functools import partial

import diffusers
import torch
from k_diffusion import sampling as k

VP, PATH, FLOW = "vp", "path", "flow"
"""What x is: of unit variance, x / alpha, or (1 - s) x0 + s eps."""

LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}


class Oracle:
    """Answers calls and counts them."""

    def __init__(self, mixture):
        self.mixture, self.calls = mixture, 0

    def __call__(self, x, kappa):
        """The expected data behind x / alpha at one kappa."""
        self.calls += 1
        return self.mixture.data(x / (1 + kappa), kappa / (1 + kappa))


def run_diffusers(scheduler, form, mixture, nfe, *, sigmas=None):
    """The samples, the s that they start from, and the number of calls.

    Args:
        scheduler: of diffusers.
        form: what x is to it.
        mixture: the data.
        nfe: how many network calls are wanted.
        sigmas: noise levels to use instead of its own, as it has them itself.
    """
    twice = "Heun" in type(scheduler).__name__
    steps = (nfe + 1) // 2 if twice else nfe
    scheduler.set_timesteps(steps)
    if sigmas is not None:
        scheduler.sigmas = torch.tensor(sigmas, dtype=torch.float64)
        scheduler.timesteps = 1000 * scheduler.sigmas[:-1]
        scheduler.set_begin_index(0)
    oracle, x, s = Oracle(mixture), None, None
    for i, t in enumerate(scheduler.timesteps):
        if hasattr(scheduler, "sigmas"):
            level = float(scheduler.sigmas[i])
        else:
            kept = float(scheduler.alphas_cumprod[t])
            level = ((1 - kept) / kept) ** 0.5
        s = level if form == FLOW else level / (1 + level)
        scale = {VP: (1 + level**2) ** -0.5, PATH: 1.0, FLOW: 1 - s}[form]
        if x is None:
            start = s
            x = (s if form == FLOW else scale * level) * mixture.noise
        oracle.calls += 1
        y = x if form == FLOW else x / scale / (1 + level)
        x0 = mixture.data(y, s)
        x = scheduler.step(answer(scheduler, x, x0, scale, level), t, x).prev_sample
    return x, start, oracle.calls


def answer(scheduler, x, x0, scale, level):
    """What a network would say that has found x0."""
    kind = getattr(scheduler.config, "prediction_type", "flow_prediction")
    if type(scheduler).__name__.startswith("EDM"):
        data = scheduler.config.sigma_data
        total = level**2 + data**2
        skip, out = data**2 / total, level * data / total**0.5
        return (x0 - skip * x) / out
    if kind == "sample":
        return x0
    if kind == "epsilon":
        return (x / scale - x0) / level
    return (x - x0) / level


def run_k(function, sigmas, mixture):
    """The same for a sampler of k-diffusion, at the given values of kappa; the last one is 0."""
    oracle, sigmas = Oracle(mixture), torch.as_tensor(sigmas, dtype=torch.float64)

    def model(x, sigma):
        return oracle(x, float(sigma[0]))

    start = float(sigmas[0])
    x = function(model, start * mixture.noise, sigmas, disable=True)
    return x, start / (1 + start), oracle.calls


def of_vp(betas):
    """Configurations that people use for models with these betas: name to runner."""
    sample = {**betas, "prediction_type": "sample"}
    choices = {
        "DDIM trailing": (
            diffusers.DDIMScheduler,
            {**sample, "timestep_spacing": "trailing", "clip_sample": False},
        ),
        "LMS karras": (diffusers.LMSDiscreteScheduler, {**betas, "use_karras_sigmas": True}),
        "Heun karras": (diffusers.HeunDiscreteScheduler, {**betas, "use_karras_sigmas": True}),
    }
    spacings = {
        "": {},
        " trailing": {"timestep_spacing": "trailing"},
        " karras": {"use_karras_sigmas": True},
        " exponential": {"use_exponential_sigmas": True},
    }
    for space, options in spacings.items():
        for order in (2, 3):
            common = {**sample, **options, "solver_order": order}
            choices |= {
                f"DPM++{order}M{space}": (diffusers.DPMSolverMultistepScheduler, common),
                f"UniPC-{order}{space}": (diffusers.UniPCMultistepScheduler, common),
                f"DEIS-{order}{space}": (diffusers.DEISMultistepScheduler, common),
            }
    lu = {**sample, "use_lu_lambdas": True}
    choices["DPM++2M lu_lambdas"] = (diffusers.DPMSolverMultistepScheduler, lu)
    path = ("LMS karras", "Heun karras")
    return {
        f"diffusers {name}": partial(_fresh, one, options, PATH if name in path else VP)
        for name, (one, options) in choices.items()
    } | _k_of(0.0064 if betas is COSINE else 0.01, 157.0)


def of_edm():
    """Configurations for EDM's process from 80 to 0.002."""
    choices = {
        f"EDM DPM++{order}M {schedule}": (
            diffusers.EDMDPMSolverMultistepScheduler,
            {"solver_order": order, "sigma_schedule": schedule},
        )
        for order in (2, 3)
        for schedule in ("karras", "exponential")
    }
    return {
        f"diffusers {name}": partial(_fresh, one, options, PATH)
        for name, (one, options) in choices.items()
    } | _k_of(0.002, 80.0)


def of_flow():
    """Configurations for rectified flow."""
    choices = {
        "FlowMatchEuler": (diffusers.FlowMatchEulerDiscreteScheduler, {}),
        "FlowMatchHeun": (diffusers.FlowMatchHeunDiscreteScheduler, {}),
    }
    common = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    for order in (2, 3):
        options = {**common, "solver_order": order}
        choices |= {
            f"DPM++{order}M flow": (diffusers.DPMSolverMultistepScheduler, options),
            f"UniPC-{order} flow": (diffusers.UniPCMultistepScheduler, options),
            f"DEIS-{order} flow": (diffusers.DEISMultistepScheduler, options),
        }
    return {
        f"diffusers {name}": partial(_fresh, one, options, FLOW)
        for name, (one, options) in choices.items()
    }


def _fresh(scheduler, options, form, mixture, nfe):
    return run_diffusers(scheduler(**options), form, mixture, nfe)


def _k_of(low, high):
    grids = {
        "karras": k.get_sigmas_karras,
        "exponential": k.get_sigmas_exponential,
        "polyexponential": partial(k.get_sigmas_polyexponential, rho=2.0),
    }
    methods = {
        "euler": k.sample_euler,
        "heun": k.sample_heun,
        "dpm_2": k.sample_dpm_2,
        "lms": k.sample_lms,
        "dpmpp_2m": k.sample_dpmpp_2m,
    }

    def run(method, grid, mixture, nfe):
        steps = (nfe + 1) // 2 if method in ("heun", "dpm_2") else nfe
        return run_k(methods[method], grid(steps, low, high), mixture)

    return {
        f"k-diffusion {method} {name}": partial(run, method, grid)
        for method in methods
        for name, grid in grids.items()
    }


RIVALS = {
    "VP linear": partial(of_vp, LINEAR),
    "VP cosine": partial(of_vp, COSINE),
    "EDM": of_edm,
    "rectified flow": of_flow,
}
