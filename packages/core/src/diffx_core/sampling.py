"""The one sampling loop, for every sampler, process and model.

    for reached in states(sampler, denoiser, shape, noise=noise): show(reached.x)

`states` yields where sampling stands after every step, so that it can be shown or ended at any
time; `sample` is its last x. The number of network calls is counted and must be what the sampler
declares.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from attrs import define, evolve
from torch import Tensor

from diffx_core.contract import agree
from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ComponentError, ConfigError
from diffx_core.estimate import Estimate
from diffx_core.grids import legal
from diffx_core.guidance.wrapper import inside
from diffx_core.known import known
from diffx_core.noise import START, Noise, Span
from diffx_core.options.checks import instance
from diffx_core.reached import Reached, fault_of, finite, require_finite, sound, where
from diffx_core.sampler import MOST_STEPS, Noises, Plan, Sampler

MOST_CALLS = 10 * MOST_STEPS
"""More network calls than a run is waited for."""


@define(eq=False)
class Asked:
    """The denoiser with its condition, and what became of it.

    If watched, an estimate that is not finite ends the run, and says whose fault that is.
    """

    denoiser: Denoiser
    cond: Condition | None = None
    watched: bool = False
    calls: int = 0
    last: Estimate | None = None

    def __call__(self, x: Tensor, t: float | Tensor, *, rows: Tensor | None = None) -> Estimate:
        """Both ends of the path through x at time t, as `Denoise` has it."""
        self.calls += 1
        cond = self.cond
        if cond is not None and rows is not None:
            cond = evolve(cond, **{name: one[rows] for name, one in cond.given().items()})
        self.last = estimate = self.denoiser(x, t, cond)
        if self.watched and (fault := fault_of(estimate, inside(self.denoiser), x, t, cond)):
            raise fault
        return estimate


def plan_for(sampler: Sampler[Any], denoiser: Denoiser) -> Plan:
    """The times that a sampler goes through for a model, all known to the process and to it.

    Raises:
        ConfigError: there are not as many, or far more network calls than anybody waits for.
    """
    if sampler.nfe is not None and sampler.nfe > MOST_CALLS:
        raise ConfigError(
            f"{type(sampler).__name__} would call the network {sampler.nfe} times, and may do so "
            f"{MOST_CALLS} times: take fewer steps, or repeat fewer of them"
        )
    scheduler = known(denoiser.scheduler, denoiser.t_min)
    return Plan.of(scheduler, legal(scheduler, sampler.times(scheduler, denoiser.t_max)))


def noises(noise: Noise, shape: Sequence[int], plan: Plan) -> Noises:
    """The noise of every step: acts over the whole step unless the step says otherwise."""
    spans = plan.spans

    def draw(step: int, substep: int = 0, span: Span | None = None) -> Tensor:
        return noise.normal(shape, step, substep, spans[step] if span is None else span)

    return draw


def states(
    sampler: Sampler[Any],
    denoiser: Denoiser,
    shape: Sequence[int],
    *,
    noise: Noise,
    cond: Condition | None = None,
    plan: Plan | None = None,
    start: Tensor | None = None,
    watched: bool = False,
) -> Iterator[Reached]:
    """Every state on the way from noise to samples (B, *shape), one for each stream of the noise.

    Where the process has an anchor y, all steps are taken in x - y, and y is added to what is
    yielded. Gradients are let through, which keeps all that was computed in memory: under
    `torch.no_grad` nothing is kept.

    Args:
        sampler: the method.
        denoiser: the model.
        shape: of one sample.
        noise: the randomness.
        cond: what each sample is told.
        plan: the times to go through instead of the sampler's own.
        start: x at the first time, instead of noise.
        watched: whether an estimate or a state that is not finite ends the run, and with whom to
            blame for it; that is looked up once for each call of the model.

    Raises:
        ConfigError: the sampler cannot sample the process, or the start is not finite.
        ComponentError: a component broke its contract.
    """
    instance(Sampler, "sampler", sampler)
    if isinstance(noise, type) or not hasattr(noise, "normal"):
        instance(Noise, "noise", noise)  # slow where it is asked of each run
    scheduler = denoiser.scheduler
    agree(sampler, scheduler)
    if start is not None:
        require_finite(start, "what sampling is to start from")
    plan = plan_for(sampler, denoiser) if plan is None else plan
    denoiser.prepare(sampler.asks(plan), noise.device)
    anchor = scheduler.anchor(cond or Condition())
    if start is None:
        x = scheduler.noise(noise, shape, START) * plan.prior_std()
    else:
        x = start if anchor is None else start - anchor
    _require_told(cond, len(x))
    asked, done = Asked(denoiser, cond, watched), 0
    try:
        for state in sampler.run(asked, x, plan, noises(noise, shape, plan)):
            assert asked.last is not None, "a first step asks the model"
            done += 1
            shown = state if anchor is None else state + anchor
            reached = Reached(done, plan.times[done], shown, asked.last, asked.calls)
            yield sound(reached) if watched else reached
    except ComponentError as error:
        place = where(done + 1, plan.times[min(done + 1, plan.steps)])
        raise ComponentError(error.kind, *(f"{one} {place}" for one in error.problems)) from error
    _require_declared(sampler, plan.steps, asked.calls)


def _require_told(cond: Condition | None, count: int) -> None:
    for name, one in () if cond is None else cond.given().items():
        if len(one) != count:
            raise ConfigError(
                f"the {name} of the condition is of {len(one)} samples, and {count} are drawn"
            )


def _require_declared(sampler: Sampler[Any], steps: int, calls: int) -> None:
    declared = sampler.nfe if steps == sampler.steps else evolve(sampler, steps=steps).nfe
    if declared is not None and calls != declared:
        problem = f"made {calls} network calls in {steps} steps and declares {declared}"
        raise ComponentError("sampler", problem)


@torch.no_grad()
def sample(
    sampler: Sampler[Any],
    denoiser: Denoiser,
    shape: Sequence[int],
    *,
    noise: Noise,
    cond: Condition | None = None,
    observe: Callable[[Reached], None] | None = None,
    plan: Plan | None = None,
    start: Tensor | None = None,
) -> Tensor:
    """Draw samples (B, *shape): the last of the `states`, without gradients.

    Args:
        sampler: the method.
        denoiser: the model.
        shape: of one sample.
        noise: the randomness.
        cond: what each sample is told.
        observe: called after every step.
        plan: the times to go through instead of the sampler's own.
        start: x at the first time, instead of noise.

    Raises:
        ComponentError: a component broke its contract, or the samples are not finite.

    Examples:
        >>> from diffx_core import NoiseSource
        >>> from diffx_core.testing import GaussianDenoiser, REFERENCE_PROCESSES
        >>> from diffx_samplers.heun import Heun
        >>> exact = GaussianDenoiser(REFERENCE_PROCESSES[0], std=0.5)
        >>> x = sample(Heun(steps=40), exact, (3,), noise=NoiseSource(0, range(2000)))
        >>> x.shape, round(float(x.std()), 1)
        (torch.Size([2000, 3]), 0.5)
    """
    way = partial(states, sampler, denoiser, shape, noise=noise, cond=cond, plan=plan, start=start)
    for reached in way():
        if observe is not None:
            observe(reached)
    if not finite(reached.x):
        for _ in way(watched=True):
            pass
        raise ComponentError(
            "backbone", "returned numbers that are not finite, and did not when it was asked again"
        )
    return reached.x
