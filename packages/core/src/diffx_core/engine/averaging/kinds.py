"""Which average is kept."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from diffx_core.engine.averaging.average import Average
from diffx_core.engine.averaging.exponential import Exponential
from diffx_core.engine.averaging.power import Power
from diffx_core.options import EmaKind, EmaOptions


class Unaveraged(Average):
    """No average at all: samples are drawn from the weights themselves."""

    kind: EmaKind = "none"

    def _take_in(self, step: int) -> None:
        pass

    def _averaged(self) -> list[Tensor]:
        return self.weights.now()

    def _memory(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {}

    def _restore(
        self,
        averaged: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None:
        pass


def average_of(model: nn.Module, options: EmaOptions) -> Average:
    """The average that the options choose, which begins at the weights as they are.

    Examples:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = average_of(model, EmaOptions(decay=0.5))
        >>> average.kind
        'exponential'
    """
    full = options.resolved()
    if full.kind == "none":
        return Unaveraged(model)
    assert full.every is not None
    if full.kind == "power":
        assert full.sigma_rel is not None
        assert full.snapshot_every is not None
        return Power(model, full.sigma_rel, every=full.every, snapshot_every=full.snapshot_every)
    assert full.decay is not None
    assert full.start is not None
    return Exponential(model, full.decay, every=full.every, start=full.start)
