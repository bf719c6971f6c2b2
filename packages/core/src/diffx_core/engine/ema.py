"""The moving average of the weights: torch-ema, with names, in float32, with buffers.

torch-ema averages a list of tensors. This keeps their names, averages float32 copies whatever the
model's precision, copies buffers (they are statistics, not weights), and hands out a state dict.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch_ema import ExponentialMovingAverage


class WeightAverage:
    """An exponential moving average of a model's parameters.

    Args:
        model: whose weights are averaged.
        decay: share that a step keeps; it grows as (1 + n) / (10 + n) at first.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self._model = model
        places = {id(p): i for i, p in enumerate(model.parameters())}
        # Tied weights have several names and one average.
        self._names = {
            name: places[id(p)] for name, p in model.named_parameters(remove_duplicate=False)
        }
        self._average = ExponentialMovingAverage(self._weights(), 0.999 if decay is None else decay)

    def update(self) -> None:
        """Take in the weights as they are now; to be called after a step of the optimizer."""
        self._average.update(self._weights())

    def state(self) -> dict[str, Tensor]:
        """The averaged weights and the current buffers, as a state dict of the model."""
        shadow = self._average.shadow_params
        averaged = {name: shadow[place].clone() for name, place in self._names.items()}
        return {**self._model.state_dict(), **averaged}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model carries the averaged weights inside, and its own again afterwards."""
        own = {name: value.clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(self.state())
        try:
            yield
        finally:
            self._model.load_state_dict(own)

    def _weights(self) -> list[Tensor]:
        return [p.detach().to(torch.float32) for p in self._model.parameters()]
