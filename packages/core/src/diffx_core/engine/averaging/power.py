"""Averages whose length grows with the training: step t counts in proportion to t^gamma (EDM2).

After n steps the average is that of the profile p(t) = (gamma + 1) t^gamma / n^(gamma + 1), of
relative width s with s^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)). It is kept by
a <- b a + (1 - b) w with b = (1 - d / n)^(gamma + 1), d steps after the last update. From snapshots
of two widths an average of any width can be made afterwards (`reconstruction`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from diffx_core.engine.averaging.average import Average, fill
from diffx_core.engine.averaging.profile import exponent
from diffx_core.engine.averaging.snapshots import Kept, forget, label, write_snapshots
from diffx_core.errors import CheckpointError
from diffx_core.options import EmaKind


class Power(Average):
    """Power-function averages of a model's weights, of several widths side by side.

    Args:
        model: whose weights are averaged.
        sigma_rel: the widths; `state` and `applied` use the first.
        every: steps between two updates.
        snapshot_every: steps between two snapshots.

    References:
        Karras et al., 2024, Analyzing and Improving the Training Dynamics of Diffusion Models
        (arXiv:2312.02696), section 3.
    """

    kind: EmaKind = "power"

    def __init__(
        self,
        model: nn.Module,
        sigma_rel: Sequence[float] = (0.05, 0.10),
        *,
        every: int = 1,
        snapshot_every: int = 1000,
    ) -> None:
        super().__init__(model)
        self.sigma_rel, self.every = tuple(sigma_rel), every
        self.snapshot_every = snapshot_every
        self._gammas = [exponent(one) for one in self.sigma_rel]
        self._averages = [self.weights.copies() for _ in self.sigma_rel]
        self._last = self._written = 0
        self._began: int | None = 0

    def _take_in(self, step: int) -> None:
        if step % self.every:
            return
        now = self.weights.now()
        for gamma, average in zip(self._gammas, self._averages, strict=True):
            decay = (self._last / step) ** (gamma + 1)
            get_ema_multi_avg_fn(decay)(average, now, None)
        self._last = step

    def begin(self, run: Path) -> None:
        """Remove the snapshots of later steps: they are no part of how training goes on."""
        if self._began is not None:
            forget(run, self._began)
            self._began = None

    def due(self, step: int, *, last: bool = False) -> tuple[Kept, ...]:
        """Each average every so many steps, and after the last one."""
        if self._last == self._written or (step % self.snapshot_every and not last):
            return ()
        self._written = self._last
        states = list(map(self.weights.state, self._averages))
        buffers = frozenset(states[0].keys() - self.weights.places.keys())
        return tuple(
            Kept(self._last, sigma_rel, state, buffers)
            for sigma_rel, state in zip(self.sigma_rel, states, strict=True)
        )

    def snapshot(self, run: Path, step: int, *, last: bool = False) -> tuple[Path, ...]:
        """Write to ``averages/`` what is due; what cannot be written can be tried again."""
        before = self._written
        try:
            self.begin(run)
            return write_snapshots(run, self.due(step, last=last))
        except CheckpointError:
            self._written = before
            raise

    def _averaged(self) -> list[Tensor]:
        return self._averages[0] if self._last else self.weights.now()

    def _memory(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {
            f"{label(sigma_rel)}.{name}": value
            for sigma_rel, average in zip(self.sigma_rel[1:], self._averages[1:], strict=True)
            for name, value in self.weights.named(average).items()
        }
        return tensors, {"sigma_rel": list(self.sigma_rel), "last": self._last}

    def _restore(
        self,
        averaged: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None:
        if tuple(facts["sigma_rel"]) != self.sigma_rel:
            raise ValueError(f"it has the widths {facts['sigma_rel']}, not {[*self.sigma_rel]}")
        fill(self._averages[0], self.weights.sorted_out(averaged, "the average"))
        for sigma_rel, average in zip(self.sigma_rel[1:], self._averages[1:], strict=True):
            start = f"{label(sigma_rel)}."
            own = {
                name.removeprefix(start): one
                for name, one in tensors.items()
                if name.startswith(start)
            }
            fill(average, self.weights.sorted_out(own, f"the average of width {sigma_rel:g}"))
        self._last = self._began = int(facts["last"])
        self._written = 0
