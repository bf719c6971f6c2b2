"""Many steps at once: a trajectory as the fixed point of all its steps (Picard iteration).

With y = x / (alpha + sigma), every one-step rule says y_j+1 = y_j + d_j(y_j), so

    y_j = y_0 + sum of d_i(y_i) over i < j.

A sweep computes all d_i of a window in one network call, for the y of the sweep before. After k
sweeps the first k points are exact, and usually far more are right to a tolerance: the window moves
past them. So the network is called fewer times than there are steps, with larger batches. Fresh
noise is drawn once for each step. Every sample has a window of its own, and so does not depend on
its batch.
"""

from collections.abc import Iterable, Iterator
from typing import get_args

import torch
from attrs import field, frozen
from attrs.validators import ge
from torch import Tensor

from diffx_core import Denoise, Noises, Plan, Sampler, StepNoise, one_of
from diffx_samplers.one_step import Table, advance
from diffx_samplers.rules import RULES, Rule


@frozen(kw_only=True)
class Parallel(Sampler[Table]):
    """Picard sweeps over a window of steps: the result of a one-step rule in fewer, larger calls.

    Args:
        rule: what a step is.
        window: steps that are swept at once; 0 for all.
        tolerance: how far the last sweep may still have moved a point, in standard deviations of
            its noise; 0 repeats the rule exactly.

    References:
        Shih et al., Parallel Sampling of Diffusion Models, 2023, arXiv:2305.16317.
    """

    rule: Rule = field(default="ddim", validator=one_of(get_args(Rule)))
    window: int = field(default=0, validator=ge(0))
    tolerance: float = field(default=0.01, validator=ge(0))

    @property
    def stochastic(self) -> bool:
        """Whether the rule is."""
        return RULES[self.rule].stochastic

    @property
    def own_times(self) -> bool:
        """Every sample has a window of its own."""
        return True

    @property
    def converges(self) -> bool:
        """Only without a tolerance, which steps of any size leave."""
        return self.tolerance == 0

    @property
    def nfe(self) -> int | None:
        """Found during the run: as many calls as there are sweeps, no more than steps."""
        return None

    def asks(self, plan: Plan) -> Iterable[float]:
        """Nothing beforehand: a call is about many times."""
        del plan
        return ()

    def start(self, plan: Plan) -> Table:
        """The transitions of the rule."""
        return RULES[self.rule].table(plan)

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: Table, noise: StepNoise
    ) -> tuple[Tensor, Table]:
        """One step of the rule alone, for who takes steps one by one."""
        return advance(denoise, x, plan.times[i], state[i], noise), state

    def run(self, denoise: Denoise, x: Tensor, plan: Plan, noises: Noises) -> Iterator[Tensor]:
        """All states, as soon as no sample is behind them."""
        sweeps = Sweeps(self.start(plan), denoise, x, plan, noises)
        width, shown = min(self.window or plan.steps, plan.steps), 0
        while shown < plan.steps:
            sweeps.sweep(width, self.tolerance)
            while shown < sweeps.behind:
                shown += 1
                yield sweeps.state(shown)


class Sweeps:
    """The points of all trajectories, and how many of each are final."""

    def __init__(
        self, table: Table, denoise: Denoise, x: Tensor, plan: Plan, noises: Noises
    ) -> None:
        self.table, self.denoise, self.noises, self.steps = table, denoise, noises, plan.steps
        self.weights = torch.tensor(table, dtype=torch.float64)
        self.times = torch.tensor(plan.times, dtype=torch.float64)
        self.size = torch.tensor([plan.alpha, plan.sigma], dtype=torch.float64).sum(0)
        self.scale = torch.tensor([span[0] for span in plan.spans], dtype=torch.float64)
        self.points = (x / float(self.size[0])).expand(plan.steps + 1, *x.shape).clone()
        self.final = torch.zeros(len(x), dtype=torch.long)
        self.fresh: dict[int, Tensor] = {}

    @property
    def behind(self) -> int:
        """How many points are final in every trajectory."""
        return int(self.final.min())

    def state(self, j: int) -> Tensor:
        """The x of all samples at times[j]."""
        return self.points[j] * float(self.size[j])

    def sweep(self, width: int, tolerance: float) -> None:
        """Move all points of every window, and the windows past those that are final."""
        places = self.final + torch.arange(width)[:, None]
        k, sample = (places < self.steps).nonzero(as_tuple=True)
        j = places[k, sample]
        device = self.points.device
        at, of = j.to(device), sample.to(device)
        before = self.points[at, of]
        moves = torch.zeros(width, *self.points.shape[1:]).to(self.points)
        moves[k.to(device), of] = self._moved(j, of, before) - before
        first = self.points[self.final.to(device), torch.arange(len(self.final), device=device)]
        found = (first + moves.cumsum(0))[k.to(device), of]
        change = (found - self.points[at + 1, of]).flatten(1).square().mean(1).sqrt()
        self.points[at + 1, of] = found
        calm = torch.zeros(width, len(self.final), dtype=torch.bool)
        calm[k, sample] = change.to("cpu", torch.float64) <= tolerance * self.scale[j]
        ends = (self.final + width).clamp(max=self.steps)
        known = calm.to(torch.long).cumprod(0).sum(0).clamp(min=1)
        self.final = (self.final + known).clamp(max=self.steps)
        self._extend(ends, (self.final + width).clamp(max=self.steps))

    def _moved(self, j: Tensor, of: Tensor, before: Tensor) -> Tensor:
        """Where the rule takes the points j of the samples `of`, as y."""
        columns = (*self.weights[j].T, self.size[j], self.size[j + 1])
        shape = (-1, *[1] * (before.ndim - 1))
        x0, eps, noise, size, next_size = (one.to(before).reshape(shape) for one in columns)
        estimate = self.denoise(before * size, self.times[j], rows=of)
        moved: Tensor = x0 * estimate.x0 + eps * estimate.eps
        for step in j.unique().tolist():
            if self.table[step].noise:
                here = (j == step).nonzero()[:, 0].to(before.device)
                moved[here] += noise[here] * self._noise(step)[of[here]]
        moved /= next_size
        return moved

    def _noise(self, step: int) -> Tensor:
        """The noise of a step, kept until no sample needs it."""
        for old in [old for old in self.fresh if old < self.behind]:
            del self.fresh[old]
        if step not in self.fresh:
            self.fresh[step] = self.noises(step)
        return self.fresh[step]

    def _extend(self, ends: Tensor, new_ends: Tensor) -> None:
        """Begin with the last point of a window at those that it moves on to."""
        for sample, (old, new) in enumerate(zip(ends.tolist(), new_ends.tolist(), strict=True)):
            self.points[old + 1 : new + 1, sample] = self.points[old, sample]
