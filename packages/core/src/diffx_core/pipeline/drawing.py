"""Samples that are about to be drawn: all that can be refused has been, and nothing has run."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.contract import agree
from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.guidance.wrapper import drawn_by, guides
from diffx_core.noise import NoiseSource
from diffx_core.options.checks import of_kind, seed_of, whole
from diffx_core.reached import Reached, tensor
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import sample, states

BATCH = 256
"""Samples that are drawn at once."""


def begun(start: object) -> Tensor | None:
    """Where sampling starts, also as an array; None for noise."""
    return None if start is None else tensor("start", start)


@frozen(eq=False, kw_only=True)
class Drawing:
    """n samples of a model.

    Args:
        denoiser: the model, guided.
        sampler: the method.
        shape: of one sample.
        cond: what each sample is told, (n,) wherever it is told anything.
        n: how many.
        seed: of the noise; that of sample i depends on the seed and on i alone.
        device: of the model.
        dtype: of the samples.
        bounds: which samples are clamped to; None for no bounds.
        plan: the times to go through.
        start: (n, *shape) x at the first time, instead of noise.
    """

    denoiser: Denoiser
    sampler: Sampler[Any]
    shape: tuple[int, ...]
    cond: Condition
    n: int
    seed: int = field(default=0, converter=seed_of)
    device: torch.device = field(factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    bounds: tuple[float, float] | None = None
    plan: Plan = field(validator=of_kind(Plan))
    start: Tensor | None = field(default=None, converter=begun)

    def __attrs_post_init__(self) -> None:
        agree(self.sampler, self.denoiser.scheduler)
        if self.start is not None and tuple(self.start.shape) != (self.n, *self.shape):
            raise ConfigError(
                f"start must be {(self.n, *self.shape)}, the samples at the first time, got "
                f"{tuple(self.start.shape)}"
            )
        for guide in guides(self.denoiser):
            if self.sampler.own_times and guide.at_one_time:
                raise ConfigError(
                    f"{guide.at_one_time} needs the same time for all samples, and the sampler "
                    f"{type(self.sampler).__name__} takes each of them at times of its own: take "
                    "another sampler"
                )
            if self.n <= BATCH:  # more are drawn in parts, as large as will be said
                guide.require(torch.Size((self.n, *self.shape)))
        self.denoiser.prepare(self.sampler.asks(self.plan), self.device)

    @torch.no_grad()
    def states(self) -> Iterator[Reached]:
        """Every state on the way, of all samples at once; to be shown, or ended at any time.

        Raises:
            ComponentError: a component broke its contract, or the next state is not finite.
        """
        yield from states(*self._model(), **self._part(range(self.n)), watched=True)

    @torch.no_grad()
    def samples(
        self,
        batch_size: int = BATCH,
        observe: Callable[[Reached], None] | None = None,
        share: range | None = None,
    ) -> Tensor:
        """The samples (n, *shape), on the CPU.

        Args:
            batch_size: samples drawn at once.
            observe: called after every step of every batch.
            share: which of them are wanted, where several processes share the work; all if None.

        Raises:
            ComponentError: a component broke its contract, or the samples are not finite.
        """
        batch_size = whole("batch_size", batch_size)
        share = range(self.n) if share is None else share
        if self.n > min(batch_size, len(share)) and drawn_by(self.denoiser):
            raise ConfigError(
                f"the guidance draws noise of its own, for certain samples: {self.n} samples must "
                f"be drawn at once, by one process with batch_size={self.n}"
            )
        draw = partial(sample, *self._model(), observe=observe)
        firsts = range(share.start, share.stop, batch_size)
        parts = [
            draw(**self._part(range(first, min(first + batch_size, share.stop)))).cpu()
            for first in firsts
        ]
        samples = torch.cat(parts) if parts else torch.empty(0, *self.shape, dtype=self.dtype)
        return samples if self.bounds is None else samples.clamp(*self.bounds)

    def _model(self) -> tuple[Sampler[Any], Denoiser, tuple[int, ...]]:
        return self.sampler, self.denoiser, self.shape

    def _part(self, indices: range) -> dict[str, Any]:
        rows = slice(indices.start, indices.stop)
        told = {name: one[rows] for name, one in self.cond.given().items()}
        start = None if self.start is None else self.start[rows].to(self.device, self.dtype)
        return {
            "noise": NoiseSource(self.seed, indices, device=self.device, dtype=self.dtype),
            "cond": Condition(**told).to(self.device),
            "plan": self.plan,
            "start": start,
        }
