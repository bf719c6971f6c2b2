"""The process of a network as a scheduler_config.json of diffusers, where it has one that is equal.

There a process is a table of betas, abar_i = (1 - beta_0) ... (1 - beta_i) = alpha(t_i)^2, whose
networks are shown x as it is and told i.
"""

from typing import Any

import torch
from torch import Tensor

from diffx_core.denoiser import NetworkDenoiser
from diffx_core.scheduler import Scheduler

NAMES = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}
"""What a network says, by the names of diffusers."""
EQUAL = 1e-6
"""How far numbers may be off that are computed in another way."""


def scheduler_config(denoiser: NetworkDenoiser) -> dict[str, Any] | str:
    """The process as a DDPMScheduler, or why there is none."""
    says, times = denoiser.prediction.name, denoiser.scheduler.grid()
    wrong = []
    if says not in NAMES:
        wrong.append(
            f"the network says {says}, where diffusers reads {', '.join(NAMES)}"
            " (--objective.prediction)"
        )
    if denoiser.scale_input:
        wrong.append(
            "it is shown x at unit variance, where diffusers shows it as it is"
            " (--objective.scale_input false)"
        )
    if times is None:
        wrong.append(
            "the process is in continuous time, where those of diffusers are tables of levels"
            " (--scheduler ddpm)"
        )
    else:
        wrong += _unlike(denoiser.scheduler, times)
    if wrong or times is None:
        return "; ".join(wrong)
    kept = denoiser.scheduler.alpha(times).square()
    before = torch.cat([kept.new_ones(1), kept[:-1]])
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": len(times),
        "trained_betas": (1 - kept / before).tolist(),
        "prediction_type": NAMES[says],
        "clip_sample": False,
        "timestep_spacing": "trailing",
    }


def _unlike(process: Scheduler, times: Tensor) -> list[str]:
    """How a process in discrete time differs from all of diffusers."""
    wrong = []
    levels = torch.arange(len(times), dtype=times.dtype)
    if not torch.allclose(process.noise_label(times), levels, rtol=0, atol=EQUAL * len(times)):
        wrong.append(
            "the network is told another number than that of the level (--scheduler.T 1000)"
        )
    total = process.alpha(times).square() + process.sigma(times).square()
    if not torch.allclose(total, torch.ones_like(total), rtol=0, atol=EQUAL):
        wrong.append("the process does not preserve variance, where those of diffusers do")
    return wrong
