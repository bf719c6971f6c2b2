"""The best grid for a model, by dynamic programming on the way that a teacher took.

A teacher of many steps gives the points x_0, x_1, ..., x_M at falling noise levels. For k = 1, 2,
... and every point j, the best way to j in k steps is that by which the student, who takes Euler
steps in sigma / alpha (DDIM), comes nearest to x_j in

    rms(x - x_j) / sqrt(alpha_j^2 S^2 + sigma_j^2),

with S the standard deviation of what the teacher drew. The best way of k steps to j is the best of
k - 1 steps to some earlier point, and one more step. What a step misses is carried on by the
student himself, so it counts with all that becomes of it.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.grids.spacing import FINITE_LOG_SNR
from diffx_core.noise import START, Noise
from diffx_core.options.checks import instance, whole
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import plan_for, states
from diffx_core.scheduler import Scheduler


@frozen(eq=False)
class OptimalGrid:
    """A grid for any process, for every number of steps that was asked for.

    Args:
        levels: rising log-SNR between the steps, both ends included, by the number of steps.
    """

    levels: dict[int, tuple[float, ...]]

    def ratios(self, steps: int) -> tuple[float, ...]:
        """The values of sigma / alpha between so many steps, as the grid `ratios:` takes them."""
        return tuple(math.exp(-level / 2) for level in self._of(steps))

    def __call__(self, scheduler: Scheduler, steps: int, t_max: float) -> Tensor:
        """The times of a process at these levels, from t_max to its end."""
        between = torch.tensor(self._of(steps)[1:-1], dtype=torch.float64)
        ends = torch.tensor([t_max, scheduler.t_min], dtype=torch.float64)
        return torch.cat([ends[:1], scheduler.time_of(between), ends[1:]])

    def _of(self, steps: int) -> tuple[float, ...]:
        if steps not in self.levels:
            raise ConfigError(f"the optimal grid was not made for {steps} steps")
        return self.levels[steps]


class Way(NamedTuple):
    """How a student comes to a point: where that leaves him, how far off, and by which points."""

    x: Tensor
    miss: float
    points: tuple[int, ...]


def optimal_grid(
    teacher: Sampler[Any],
    denoiser: Denoiser,
    shape: Sequence[int],
    *,
    steps: int,
    noise: Noise,
    cond: Condition | None = None,
) -> OptimalGrid:
    """The best grids for a model, of 1 to `steps` steps.

    The model is called about `steps` times as often as the teacher takes steps. A hundred samples
    and thirty steps of a teacher are enough.

    Args:
        teacher: a deterministic sampler; the grids are made of its times.
        denoiser: the model, with the guidance that it will be sampled with.
        shape: of one sample.
        steps: the most steps that a grid is wanted for.
        noise: where the samples start.
        cond: what each sample is told.

    References:
        Chen et al., On the Trajectory Regularity of ODE-based Diffusion Sampling, 2024,
        arXiv:2405.11326 (dynamic programming on a teacher's points).
    """
    if instance(Sampler, "teacher", teacher).stochastic:
        raise ConfigError("the teacher of an optimal grid must be deterministic")
    scheduler, plan = denoiser.scheduler, plan_for(teacher, denoiser)
    if not 1 <= whole("steps", steps, least=None) <= plan.steps:
        raise ConfigError(f"a teacher of {plan.steps} steps cannot show the way in {steps}")
    y = scheduler.anchor(cond or Condition())
    with torch.no_grad():
        run = states(teacher, denoiser, shape, noise=noise, cond=cond, plan=plan)
        shown = (reached.x if y is None else reached.x - y for reached in run)
        points = [scheduler.noise(noise, shape, START) * plan.prior_std(), *shown]
        denoiser.prepare(plan.times[:-1], noise.device)
        ways = best_ways(denoiser, cond, plan, points, steps)
    known = scheduler.log_snr(torch.tensor(plan.times, dtype=torch.float64))
    levels = known.clamp(-FINITE_LOG_SNR, FINITE_LOG_SNR).tolist()
    return OptimalGrid(
        {count: tuple(levels[j] for j in way.points) for count, way in enumerate(ways, 1)}
    )


def best_ways(
    denoiser: Denoiser, cond: Condition | None, plan: Plan, points: Sequence[Tensor], steps: int
) -> list[Way]:
    """The best way to the last point in 1, 2, ... steps."""
    spread, last = float(points[-1].double().std(correction=0)), plan.steps
    units = [math.hypot(a * spread, s) for a, s in zip(plan.alpha, plan.sigma, strict=True)]
    reached, found = {0: Way(points[0], 0.0, (0,))}, []
    for _ in range(steps):
        further: dict[int, Way] = {}
        for i in sorted(reached.keys() - {last}):
            estimate = denoiser(reached[i].x, plan.times[i], cond)
            for j in range(i + 1, last + 1):
                x = estimate.mix(plan.alpha[j], plan.sigma[j])
                miss = float((x - points[j]).square().mean().sqrt()) / units[j]
                if j not in further or miss < further[j].miss:
                    further[j] = Way(x, miss, (*reached[i].points, j))
        reached = further
        found.append(reached[last])
    return found
