"""The exponential moving average, a <- d a + (1 - d) w, whose decay d warms up.

The n-th update keeps d_n = min(decay^every, (1 + n) / (10 + n)) of the average, as torch-ema has
it, which also keeps count here. Its arithmetic passes over the memory eight times, in three kernels
for each tensor; one fused interpolation of all tensors does the same in three.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch_ema import ExponentialMovingAverage

from diffx_core.engine.averaging.average import Average, fill
from diffx_core.options import EmaKind


class Exponential(Average):
    """An exponential moving average of a model's weights.

    Args:
        model: whose weights are averaged.
        decay: share of the average that a step keeps, once it has warmed up.
        every: steps between two updates, each of which keeps decay^every.
        start: steps after which the average begins, at the weights as they are then.
    """

    kind: EmaKind = "exponential"

    def __init__(self, model: nn.Module, decay: float, *, every: int = 1, start: int = 0) -> None:
        super().__init__(model)
        self.every, self.start = every, start
        self._average = ExponentialMovingAverage(self.weights.copies(), decay**every)
        self._is_fed = False

    def _take_in(self, step: int) -> None:
        if step < self.start or (step - self.start) % self.every:
            return
        if not self._is_fed and self.start > 0:
            fill(self._average.shadow_params, self.weights.now())
        else:
            self._average.num_updates += 1
            n = self._average.num_updates
            decay = min(self._average.decay, (1 + n) / (10 + n))
            average = get_ema_multi_avg_fn(decay)
            average(self._average.shadow_params, self.weights.now(), None)
        self._is_fed = True

    def _averaged(self) -> list[Tensor]:
        return self._average.shadow_params if self._is_fed else self.weights.now()

    def _memory(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        facts = {"updates": self._average.num_updates, "is_fed": self._is_fed}
        if self._is_fed:  # then the average that is shown is all
            return {}, facts
        return self.weights.named(self._average.shadow_params), facts

    def _restore(
        self,
        averaged: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None:
        self._average.num_updates = int(facts["updates"])
        self._is_fed = bool(facts["is_fed"])
        begun = averaged if self._is_fed else tensors
        fill(self._average.shadow_params, self.weights.sorted_out(begun, "the average"))
