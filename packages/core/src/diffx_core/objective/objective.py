"""The training objective: which noise levels are seen, what is said of them, how errors count.

At a time t with quantile u of the density of times, with x_t = alpha x0 + sigma eps,

    r    = sqrt(w (x0_f^2 + eps_f^2)) (F(x_t, t, cond) - (p x0 + q eps)),
    loss = mean over the batch of m loss(r),

where w is the weighting (`diffx_core.objective.weighting`), F = p x0 + q eps the prediction, x0_f
and eps_f what errors of F do to the two ends. m is 1; or what an absolute weighting and times that
follow the loss need for the expectation to be the right one.

Everything random is keyed by (seed, step, slot), the place in the whole batch: a step can be
repeated exactly, and the parts of a batch, on one device after the other or on many at once, see
what the whole batch would. Quantiles are spread over the batch: slot i of n has (u + i/n) mod 1
with one random u for each step, so that every time keeps its probability and no step misses a part
of the process.

References:
    Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630, appendix I.1 (low
    discrepancy).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor, nn

from diffx_core.dataset import Batch, Condition
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.errors import ConfigError
from diffx_core.estimate import columns
from diffx_core.noise import NoiseSource, generator
from diffx_core.objective.ends import Ends
from diffx_core.objective.plan import Plan
from diffx_core.objective.times import TimeDensity
from diffx_core.objective.uncertainty import Uncertainty
from diffx_core.options import ObjectiveOptions
from diffx_core.prediction import Level
from diffx_core.scheduler import Scheduler


class Terms(NamedTuple):
    """The loss of each example, and where it was found.

    Args:
        t: (B,) times, float64 on the CPU.
        log_snr: (B,) log-SNRs, float64 on the CPU, finite.
        loss: (B,) losses with everything in them, on the device of the batch.
    """

    t: Tensor
    log_snr: Tensor
    loss: Tensor


@frozen
class Part:
    """Which part of a step's whole batch a batch is.

    Args:
        slots: the place of each example in the whole batch.
        total: size of the whole batch.
    """

    slots: Sequence[int]
    total: int = field()

    @total.validator
    def _holds_the_slots(self, _: object, total: int) -> None:
        if self.slots and not 0 <= min(self.slots) <= max(self.slots) < total:
            raise ConfigError(f"slots {min(self.slots)}..{max(self.slots)} of a batch of {total}")


class Objective(nn.Module):
    """The loss of a denoiser on a batch.

    `loss = objective(denoiser, batch)` is all that a loop of one's own needs. The defaults that
    "auto" stands for are those of the denoiser's prediction. With `uncertainty` there are
    parameters to be optimised along with the network; with times that follow the loss there is a
    state to be saved with it, both in `state_dict()`. In eval mode nothing is learned or counted,
    and nothing that was learned has a say: a step has the same times and weights at any time.

    Args:
        options: which weighting, times and loss, and how many labels are hidden.
        seed: of everything random.
    """

    def __init__(self, options: ObjectiveOptions = ObjectiveOptions(), seed: int = 0) -> None:
        super().__init__()
        self.options = options
        self.seed = seed
        self.uncertainty = Uncertainty(seed) if options.uncertainty else None
        self._steps = 0
        self._plan: Plan | None = None
        self._saved: dict[str, Tensor] | None = None
        self._pending: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        self._pending_step = 0

    def forward(
        self,
        denoiser: NetworkDenoiser,
        batch: Batch,
        step: int | None = None,
        *,
        part: Part | None = None,
    ) -> Tensor:
        """The mean loss of a batch.

        Args:
            denoiser: whose loss.
            batch: on what.
            step: which step of the optimizer, the key of everything random; counted by itself if
                None.
            part: which part of the step's batch it is; the whole of it if None.
        """
        if step is None:
            step = self._steps
            self._steps += self.training
        return self.terms(denoiser, batch, step, part=part).loss.mean()

    def terms(
        self, denoiser: NetworkDenoiser, batch: Batch, step: int, *, part: Part | None = None
    ) -> Terms:
        """The loss of each example at a step; see `forward`."""
        plan = self._plan_for(denoiser)
        part = part or Part(range(len(batch.x)), len(batch.x))
        if len(part.slots) != len(batch.x):
            raise ConfigError(f"{len(part.slots)} slots for a batch of {len(batch.x)}")
        if step != self._pending_step:
            self.learn(_alone)
        anchor = denoiser.scheduler.anchor(batch.cond)
        x0 = batch.x if anchor is None else batch.x - anchor
        noise = NoiseSource(self.seed, part.slots, "train", x0.device, x0.dtype)
        v, chance = self._draw(plan, step, part)
        eps = denoiser.scheduler.noise(noise, x0.shape[1:], step)

        level = Level(denoiser.scheduler, plan.base.quantile(v), denoiser.sigma_data)
        ends, target = Ends(level), denoiser.prediction.target(level)
        root = (plan.weight(ends) * ends.gain(target)).sqrt()
        alpha, sigma, p, q, root, measure, log_snr, chance = columns(
            x0, level.alpha, level.sigma, *target, root, plan.measure(ends), ends.log_snr, chance
        )
        output = denoiser.output(
            alpha * x0 + sigma * eps, level, self._told(batch.cond, noise, step)
        )
        loss = measure.flatten() * plan.criterion(root * (output - (p * x0 + q * eps)))
        u = None
        if self.training and self.uncertainty is not None:
            u = self.uncertainty(log_snr.flatten())
        if u is not None:
            loss = (-u).exp() * loss
        if self.training and plan.histogram is not None:
            self._pending_step = step
            self._pending[tuple(part.slots)] = (v, loss.detach())
        loss = loss if u is None else loss + u
        return Terms(level.t, ends.log_snr, loss / chance.flatten())

    def learn(self, joined: Callable[[Tensor], Tensor]) -> None:
        """Take in the losses of the step before, of all processes that share its batch.

        Where there is only one, the next step does so by itself.

        Args:
            joined: from the rows of this process to those of all.
        """
        if not self._pending:
            return
        assert self._plan is not None
        assert self._plan.histogram is not None
        slots = torch.tensor([slot for slots in self._pending for slot in slots])
        v, loss = (torch.cat(one) for one in zip(*self._pending.values(), strict=True))
        found = joined(torch.stack([slots, v, loss.to("cpu", torch.float64)], 1))
        _, v, loss = found[found[:, 0].argsort()].unbind(1)
        self._plan.histogram.observe(v, loss)
        self._pending.clear()

    def check(self, denoiser: NetworkDenoiser) -> None:
        """Raise a `ConfigError` if the options do not suit the process or the prediction."""
        self._plan_for(denoiser).check_integral()

    def density(self, scheduler: Scheduler, sigma_data: float = 1.0) -> TimeDensity:
        """What times of a process are drawn from, for the prediction of the options.

        Raises:
            ConfigError: the options do not suit the process.
        """
        return self._look_at(scheduler, sigma_data).density

    def effective_weight(self, scheduler: Scheduler, sigma_data: float, t: Tensor) -> Tensor:
        """What the loss is about: W(lambda) of 1/2 integral of W |deps|^2, at times t (B,)."""
        return self._look_at(scheduler, sigma_data).effective_weight(t)

    def get_extra_state(self) -> dict[str, Any]:
        """The number of steps, and what was learned about the losses."""
        self.learn(_alone)
        histogram = None if self._plan is None else self._plan.histogram
        losses = self._saved if histogram is None else histogram.state()
        copies = None if losses is None else {name: one.clone() for name, one in losses.items()}
        return {"steps": self._steps, "losses": copies}

    def set_extra_state(self, state: Any) -> None:  # noqa: ANN401  # as nn.Module has it
        """Go on from there."""
        self._steps, self._saved = state["steps"], state["losses"]
        self._plan = None
        self._pending.clear()

    def _plan_for(self, denoiser: NetworkDenoiser) -> Plan:
        facts = denoiser.scheduler, denoiser.sigma_data, denoiser.prediction.name
        if self._plan is None or not self._plan.fits(*facts):
            if self._plan is not None and self._plan.has_learned:
                raise ConfigError(
                    f"the times follow the losses of {self._plan.scheduler}: another process, "
                    "prediction or sigma_data needs an objective of its own"
                )
            self._pending.clear()
            self._plan = Plan.of(self.options, *facts)
            if self._plan.histogram is not None and self._saved is not None:
                self._plan.histogram.load(self._saved)
            self._saved = None
        return self._plan

    def _look_at(self, scheduler: Scheduler, sigma_data: float) -> Plan:
        facts = scheduler, sigma_data, self.options.prediction
        if self._plan is not None and self._plan.fits(*facts):
            self.learn(_alone)
            return self._plan
        return Plan.of(self.options, *facts)

    def _draw(self, plan: Plan, step: int, part: Part) -> tuple[Tensor, Tensor]:
        """Quantiles (B,) of the base, and how much more often than usual each is drawn."""
        if self.options.low_discrepancy:
            source = generator(self.seed, "times", step)
            offset = torch.rand((), dtype=torch.float64, generator=source)
            places = torch.tensor(part.slots, dtype=torch.float64)
            u = (offset + places / part.total) % 1
        else:
            own = NoiseSource(self.seed, part.slots, "times", dtype=torch.float64)
            u = own.uniform(step)
        if plan.histogram is None or not self.training:
            return u, torch.ones_like(u)
        v = plan.histogram.quantile(u)
        return v, plan.histogram.ratio(v)

    def _told(self, cond: Condition, noise: NoiseSource, step: int) -> Condition:
        if not cond.can_be_forgotten or self.options.label_dropout == 0:
            return cond
        chance = noise.named("label").uniform(step)
        return cond.dropped(chance < self.options.label_dropout)


def _alone(rows: Tensor) -> Tensor:
    return rows
