"""The training loop, on one screen: everything else is somebody's it calls."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from attrs import field, frozen
from torch import Tensor, nn

from diffx_core.dataset import Batch, Dataset
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.engine.averaging import Average
from diffx_core.engine.checkpoint import Checkpoint
from diffx_core.engine.duties import Duty, Look, Preview, Save, given_up
from diffx_core.engine.events import Finished, Observer, Started, Stepped
from diffx_core.engine.learner import Learner
from diffx_core.engine.memory import advised, fitted
from diffx_core.engine.observers import Told
from diffx_core.engine.order import DataOrder
from diffx_core.engine.parts import learner_for, update_for
from diffx_core.engine.preflight import preflight
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.rates import learning_rate
from diffx_core.engine.reading import read_ahead
from diffx_core.engine.update import Update
from diffx_core.engine.validation import Validation
from diffx_core.errors import DataError
from diffx_core.errors import reason as failure
from diffx_core.objective import Objective
from diffx_core.options import (
    EmaOptions,
    PreviewOptions,
    SaveOptions,
    TrainOptions,
    ValidateOptions,
)

if TYPE_CHECKING:
    from diffx_core.engine.saver import Saver

TIME_OVER = "hours are over"
"""How the reason ends for which a run ends that had only so much time."""


@frozen(eq=False)
class Outcome:
    """What training came to.

    Args:
        step: steps taken.
        average: of the weights.
        reason: why it ended before its last step; empty if it did not.
    """

    step: int
    average: Average
    reason: str = ""


@frozen(eq=False)
class Trainer:
    """Trains the backbone of a denoiser.

    Args:
        denoiser: what is trained; its backbone is an `nn.Module`.
        dataset: what it is trained on.
        objective: what it is trained to do.
        options: how long and how fast.
        ema: how its weights are averaged.
        device: where.
        observers: who is told.
        validate: how it is judged on examples that it never sees.
        preview: when samples are drawn.
        draw: draws them, as bytes (B, C, H, W).
        save: when checkpoints are saved.
        saver: saves them; none are saved without.
        record: how the run was made, for its checkpoints.
        ranks: the processes that train together.
        stop: why to end after this step; empty if there is no reason.
    """

    denoiser: NetworkDenoiser
    dataset: Dataset
    objective: Objective = field(factory=Objective)
    options: TrainOptions = TrainOptions()
    ema: EmaOptions = EmaOptions()
    device: torch.device = field(factory=lambda: torch.device("cpu"))
    observers: Sequence[Observer] = ()
    validate: ValidateOptions = field(factory=ValidateOptions)
    preview: PreviewOptions = field(factory=PreviewOptions)
    draw: Callable[[NetworkDenoiser], Tensor] | None = None
    save: SaveOptions = field(factory=SaveOptions)
    saver: "Saver | None" = None
    record: Mapping[str, Any] = field(factory=dict)
    ranks: Ranks = field(factory=Ranks)
    stop: Callable[[], str] = str

    @property
    def model(self) -> nn.Module:
        """The network."""
        assert isinstance(self.denoiser.backbone, nn.Module)
        return self.denoiser.backbone

    @property
    def team(self) -> Ranks:
        """The processes, as they hold the network."""
        if not self.options.shard:
            return self.ranks
        from diffx_core.engine.sharded import dividing  # FSDP2 takes long to import

        return dividing(self.ranks)

    @property
    def order(self) -> DataOrder:
        """Which examples each step sees."""
        held_out = self.validate.examples if self.validate.every else 0
        size, seed = self.options.batch_size, self.objective.seed
        return DataOrder(len(self.dataset), size, seed, held_out)

    def check(self) -> None:
        """Look at every component once: a `ComponentError` names one that breaks its contract."""
        self.check_data()
        self.team.slots(self.options.batch_size)
        self.team.micro(self.options.batch_size, self.options.micro_batch)
        model = self.model.to(self.device)
        learning = model.training
        model.eval()  # a look changes neither statistics nor the state of a generator
        preflight(self.denoiser, self.dataset, self.order, self.device)
        self.objective.check(self.denoiser)
        model.train(learning)

    def check_data(self) -> None:
        """See whether there is an example for training, and for looks if there are any.

        Raises:
            DataError: there is none.
        """
        if not len(self.dataset):
            raise DataError("the dataset is empty")
        _ = self.order

    def fit(self, start: Checkpoint | None = None) -> Outcome:
        """Take all steps that are left; the model is left with its own weights.

        Args:
            start: where to go on; from the beginning if None.
        """
        self.check()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            self.team.divide(self.model)
            learner = learner_for(self.model, self.objective, self.options, self.ema, self.device)
            if start is not None:
                with self.team.mixed():
                    learner.restore(start)
            return self._fit(learner, self._saving(start))

    def _fit(self, learner: Learner, saving: Save) -> Outcome:
        options, course, tell = self.options, learner.course, Told(tuple(self.observers))
        began, reason = time.perf_counter(), ""
        tell(Started(options.steps, options.batch_size, parameter_count(self.model), course.step))
        try:
            saving.begin(learner)
            with self._reading(course.step) as batches:
                reason = self._steps(learner, batches, saving, tell)
            saving.finish(learner, tell)
        except BaseException as error:
            reason = why_it_ended(self.ranks.reason(error))
            raise
        finally:
            tell(Finished(course.step, time.perf_counter() - began, reason))
        return Outcome(course.step, learner.average, reason)

    def _steps(self, learner: Learner, batches: Iterator[Batch], saving: Save, tell: Told) -> str:
        """Take steps until there are enough, or there is a reason to end."""
        options, course = self.options, learner.course
        update = self._update(learner)
        duties = [*self._duties(update.micro), saving]
        scaling, began = learner.scaler.is_enabled(), time.perf_counter()
        reason = given_up(course, self.validate)
        while course.step < options.steps and not reason:
            batch, reason = self._next(batches, time.perf_counter() - began)
            if batch is None:
                break
            lr = learning_rate(options, course.step)
            with advised(update.micro):
                taken = update(batch, course.step, lr)
                if course.took(taken, scaling=scaling, speaks=self.ranks.is_first):
                    learner.average.update(course.updates)
                    seconds = time.perf_counter() - began
                    tell(Stepped(course.step, taken.loss, lr, taken.norm, seconds))
            for duty in duties:
                reason = duty(learner, tell) or reason
        return reason

    def _update(self, learner: Learner) -> Update:
        """What makes steps, in parts that fit into memory if that is to be found out."""
        update = update_for(learner, self.denoiser, self.options, self.team)
        if not self.options.auto_micro_batch:
            return update
        step, order = learner.course.step, self.order.of(self.ranks.slots(self.options.batch_size))
        batch = self.dataset.on(self.device).batch(order.indices(step)).to(self.device)
        apart = Ranks(self.ranks.rank, self.ranks.world)
        alone = update_for(learner, self.denoiser, self.options, apart)
        return fitted(update, alone, batch, step)

    @contextmanager
    def _reading(self, first: int) -> Iterator[Iterator[Batch]]:
        options = self.options
        with read_ahead(
            self.dataset.on(self.device),
            self.order.of(self.ranks.slots(options.batch_size)),
            range(first, options.steps),
            seed=self.objective.seed,
            device=self.device,
            workers=options.workers,
        ) as batches:
            yield batches

    def _next(self, batches: Iterator[Batch], seconds: float) -> tuple[Batch | None, str]:
        """The next batch, or why there shall be none; all processes come to the same."""
        hours, error = self.options.hours, None
        late = hours is not None and seconds > 3600 * hours
        reason = f"{hours:g} {TIME_OVER}" if late else self.stop()
        try:
            batch = None if reason else next(batches)
        except Exception as cause:  # noqa: BLE001 - raised again, by all processes
            batch, error = None, cause
        reason = self.ranks.agree(reason, error)
        return (None, reason) if reason else (batch, "")

    def _duties(self, size: int) -> list[Duty]:
        """What is done between steps, in this order: what is saved includes what was seen.

        Args:
            size: examples that fit through the network at once.
        """
        duties: list[Duty] = []
        if self.validate.every is not None:
            whom = self.denoiser, self.dataset.on(self.device), self.objective, self.order.unseen
            look = Validation(*whom, size, self.device, self.team)
            duties.append(Look(look, self.validate))
        if self.draw is not None and self.preview.every is not None:
            every = self.preview.every
            duties.append(Preview(self.denoiser, self.draw, every, self.stop, self.team))
        return duties

    def _saving(self, start: Checkpoint | None) -> Save:
        began = None if start is None else start.step
        return Save(self.saver, self.save.every, self.record, self.team, began)


def why_it_ended(error: BaseException) -> str:
    """Why a run ended that raised this, in one line."""
    return "interrupted" if isinstance(error, KeyboardInterrupt) else failure(error)


def parameter_count(model: nn.Module) -> int:
    """How many numbers of a model are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
