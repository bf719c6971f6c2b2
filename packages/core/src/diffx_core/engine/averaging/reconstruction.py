"""An average of any length, made after training from snapshots of two (EDM2)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.engine.averaging.profile import Fit, Profile, exponent, fit
from diffx_core.engine.averaging.snapshots import AverageSnapshot, snapshots
from diffx_core.errors import CheckpointError, ConfigError
from diffx_core.options.ema import is_width


@frozen(eq=False)
class Reconstruction:
    """An average that was made afterwards.

    Args:
        step: its last step.
        sigma_rel: its width.
        state: the averaged weights, and the buffers of that step.
        snapshots: how many it was made of.
        error: how far its profile is from the wanted one (`Fit.error`).
    """

    step: int
    sigma_rel: float
    state: dict[str, Tensor]
    snapshots: int
    error: float


def reconstruct(run: Path, sigma_rel: float, step: int | None = None) -> Reconstruction:
    """The power average of a run that has this width.

    Memory for two snapshots and one in float64 is needed, however many there are.

    Args:
        run: its folder.
        sigma_rel: width in units of the training up to the step.
        step: the last one that counts, which a snapshot was made of; by default the last of these.

    Raises:
        ConfigError: no average has such a width, or there is no such snapshot.
        CheckpointError: there are no snapshots, or one of them is damaged.
    """
    if not is_width(sigma_rel):
        raise ConfigError(
            f"sigma_rel is {sigma_rel}: power averages have widths from 0.005 to 0.28"
        )
    found = snapshots(run)
    if not found:
        raise CheckpointError(
            f"{run}: has no snapshots of averages: train with --ema.kind power, which writes them"
        )
    last = found[-1].step if step is None else step
    if last not in {one.step for one in found}:
        near = sorted({one.step for one in found}, key=lambda one: abs(one - last))[:3]
        raise ConfigError(
            f"step is {last}, of which {run} has no snapshot: the nearest are "
            f"{', '.join(map(str, sorted(near)))}"
        )
    used = [one for one in found if one.step <= last]
    profiles = [Profile(one.step, exponent(one.sigma_rel)) for one in used]
    nearest = fit(profiles, Profile(last, exponent(sigma_rel)))
    return Reconstruction(last, sigma_rel, _combined(used, nearest), len(used), nearest.error)


def _combined(used: Sequence[AverageSnapshot], nearest: Fit) -> dict[str, Tensor]:
    """The weighted sum; the last snapshot also gives the buffers, which are no averages."""
    state = used[-1].tensors()
    weights = sorted(set(state) - used[-1].buffers)
    total = {name: nearest.weights[-1] * state[name].double() for name in weights}
    for one, weight in zip(used[:-1], nearest.weights, strict=False):
        tensors = one.tensors()
        shapes = {name: tensors[name].shape for name in tensors if name not in one.buffers}
        if shapes != {name: value.shape for name, value in total.items()}:
            raise CheckpointError(f"{one.path}: is of another model than the last snapshot")
        for name, value in total.items():
            value.add_(tensors[name], alpha=float(weight))
    return {**state, **{name: value.to(torch.float32) for name, value in total.items()}}
