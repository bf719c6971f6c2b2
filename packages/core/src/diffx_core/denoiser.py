"""A network, made to speak of x0 and eps: the only thing that a sampler may call.

    x  ->  c_in x  ->  backbone(c_in x, noise_label, cond)  ->  Estimate,    c_in = 1 / sqrt(alpha^2
    sigma_data^2 + sigma^2)  or 1

At one time for the whole batch, given as a float, everything but the network is looked up: sampling
computes it for all times at once, in float64, before the first step. At a time for each example,
given as a tensor, it is computed where x is. Shapes: x (B, *), t () as float or (B,), noise_label
(B,).
"""

import math
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.errors import ComponentError
from diffx_core.estimate import Decoding, Estimate, columns
from diffx_core.prediction import Level, Prediction
from diffx_core.scheduler import Scheduler


class Backbone(Protocol):
    """A network: an `nn.Module` built from a `DataSpec` and options."""

    def __call__(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """What the network says of x (B, *), at noise labels (B,): a tensor of the shape of x."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """What a sampler may call, and all that it knows of the model."""

    @property
    def scheduler(self) -> Scheduler:
        """The process whose noisy data the denoiser understands."""
        ...

    @property
    def t_min(self) -> float:
        """The earliest time that the denoiser can be asked about."""
        ...

    @property
    def t_max(self) -> float:
        """The latest time that the denoiser can be asked about."""
        ...

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Compute beforehand what the calls at these times will need."""
        ...

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """Both ends of the path through x at time t."""
        ...


UNTOLD = Condition()


class Reading(NamedTuple):
    """What a call at one time needs besides the network."""

    input_scale: float
    noise_label: Tensor
    decoding: Decoding


@frozen(eq=False)
class NetworkDenoiser:
    """A backbone that was trained to predict, for one process, one kind of output.

    Args:
        backbone: the network.
        scheduler: the process.
        prediction: what the network's output means.
        sigma_data: root mean square of the data.
        scale_input: whether the network sees x at unit variance; if not, it sees x as it is.
    """

    backbone: Backbone
    scheduler: Scheduler
    prediction: Prediction
    sigma_data: float = 1.0
    scale_input: bool = True
    _readings: dict[float, Reading] = field(factory=dict, init=False, repr=False)

    @property
    def t_min(self) -> float:
        """The beginning of the process."""
        return self.scheduler.t_min

    @cached_property
    def t_max(self) -> float:
        """The latest time at which the prediction can be read."""
        return self.prediction.horizon(self.scheduler)

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Read the process at all times at once, in float64."""
        times = list(times)
        if not self._knows(times, device):
            self._readings.clear()
            self._readings.update(self._read(times, device))

    def _knows(self, times: list[float], device: torch.device) -> bool:
        found = [self._readings.get(t) for t in times]
        return all(one is not None and one.noise_label.device == device for one in found)

    def _read(self, times: list[float], device: torch.device) -> dict[float, Reading]:
        level = Level(self.scheduler, torch.tensor(times, dtype=torch.float64), self.sigma_data)
        labels = self.scheduler.noise_label(level.t).to(torch.float32).to(device)
        scales = self._input_scale(level).tolist()
        # Off by rounding where a process preserves the variance: the call saves a pass over x.
        scales = [1.0 if math.isclose(scale, 1.0, rel_tol=1e-12) else scale for scale in scales]
        columns = (torch.as_tensor(c).tolist() for c in self.prediction.decode(level))
        rows = zip(*columns, strict=True)
        return {
            t: Reading(scale, label, Decoding(*row))
            for t, scale, label, row in zip(times, scales, labels[:, None], rows, strict=True)
        }

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """Both ends of the path through x at time t."""
        if isinstance(t, Tensor):
            return self._at_each(x, t, cond or UNTOLD)
        reading = self._readings.get(t)
        if reading is None or reading.noise_label.device != x.device:
            reading = self._read([t], x.device)[t]
        scale, label, decoding = reading
        count = x.shape[0]  # len(x) takes three times as long
        labels = label if count == 1 else label.expand(count)
        output = self.backbone(x if scale == 1 else x * scale, labels, cond or UNTOLD)
        return Estimate(x, checked(output, x), decoding)

    def _at_each(self, x: Tensor, t: Tensor, cond: Condition) -> Estimate:
        level = Level(self.scheduler, t, self.sigma_data)
        return Estimate(x, self.output(x, level, cond), self.prediction.decode(level))

    def output(self, x: Tensor, level: Level, cond: Condition) -> Tensor:
        """What the network itself says of x (B, *), at a noise level for each example."""
        label = self.scheduler.noise_label(level.t).to(torch.float32).to(x.device)
        (scale,) = columns(x, self._input_scale(level))
        return checked(self.backbone(x * scale, label, cond), x)

    def _input_scale(self, level: Level) -> Tensor:
        spread = level.spread
        return spread.reciprocal() if self.scale_input else torch.ones_like(spread)


def checked(output: object, x: Tensor) -> Tensor:
    """The network's output, if it has the shape and the type of its input.

    Under autocast, the type is what autocast makes of it.
    """
    if not isinstance(output, Tensor) or output.shape != x.shape:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ComponentError("backbone", f"returned {got} for an input of shape {tuple(x.shape)}")
    if output.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ComponentError("backbone", f"returned {output.dtype} for an input of {x.dtype}")
    return output
