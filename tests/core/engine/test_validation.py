"""Held-out examples are never trained on, and judged at the same noise each time."""

from pathlib import Path

import pytest
import torch
from attrs import define, evolve, field, frozen

from diffx_core import (
    PREDICTIONS,
    Batch,
    ComponentError,
    Condition,
    DataError,
    Dataset,
    DataSpec,
    NetworkDenoiser,
)
from diffx_core.engine.checkpoint import Checkpoint
from diffx_core.engine.events import Finished, Sampled, Stepped, Validated
from diffx_core.engine.order import DataOrder
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.trainer import Trainer
from diffx_core.engine.validation import BINS, Validation
from diffx_core.objective import Objective
from diffx_core.options import (
    EmaOptions,
    ObjectiveOptions,
    PreviewOptions,
    TrainOptions,
    ValidateOptions,
)
from diffx_core.testing.oracle import ReferenceVP


@frozen
class Recorded(Dataset):
    """Points, and which of them training has seen."""

    seen: list = field(factory=list)
    spec: DataSpec = field(factory=lambda: DataSpec((2,), num_classes=4, sigma_data=0.7))

    def __len__(self):
        return 40

    def batch(self, index):
        angle = index * torch.pi / 20
        return Batch(torch.stack([angle.cos(), angle.sin()], 1), Condition(index % 4), index)

    def augmented(self, index, *, seed, step):
        self.seen.extend(index.tolist())
        return self.batch(index)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Dropout(0.5))
        self.last = torch.nn.Linear(16, 2)

    def forward(self, x, noise_label, cond):
        return self.last(self.net(torch.cat([x, noise_label[:, None] / 1000], 1)).tanh())


def trainer(data=None, *, objective=None, heard=None, ema=None, **validate):
    return Trainer(
        NetworkDenoiser(Net(), ReferenceVP(), PREDICTIONS["edm"], sigma_data=0.7),
        data or Recorded(),
        Objective(objective or ObjectiveOptions(), seed=2),
        TrainOptions(steps=12, batch_size=8, warmup=0),
        ema or EmaOptions(),
        validate=ValidateOptions(**validate),
        observers=[] if heard is None else [heard.append],
    )


def test_training_sees_all_examples_but_those_held_out():
    run = trainer(every=4, examples=10)
    run.fit()
    assert set(run.dataset.seen[2:]) == set(range(40)) - set(run.order.unseen.tolist())
    assert len(run.order.unseen) == 10


@pytest.mark.parametrize("held_out", [0, 1, 7, 19])
def test_an_epoch_is_every_example_that_is_not_held_out_once(held_out):
    order = DataOrder(20, 20 - held_out, seed=5, held_out=held_out)
    for step in range(3):
        seen = [*order.indices(step).tolist(), *order.unseen.tolist()]
        assert sorted(seen) == list(range(20))
    assert torch.equal(order.unseen, DataOrder(20, 3, seed=5, held_out=held_out).unseen)


def test_shares_of_a_step_are_the_step():
    order = DataOrder(20, 7, seed=5, held_out=3)
    for step in range(6):
        shares = [order.of(slots).indices(step) for slots in (range(2), range(2, 3), range(3, 7))]
        assert torch.equal(torch.cat(shares), order.indices(step))


def test_holding_out_everything_is_refused():
    with pytest.raises(DataError, match="of 40 examples 40 are kept from training"):
        _ = trainer(every=1, examples=40).order


def looks(heard):
    return [event for event in heard if isinstance(event, Validated)]


def test_a_look_is_the_loss_of_the_average_at_the_same_noise_each_time():
    heard = []
    run = trainer(heard=heard, every=4, examples=10, objective=ObjectiveOptions(times="adaptive"))
    average = run.fit().average
    found = looks(heard)
    assert [one.step for one in found] == [4, 8, 12]
    run.model.load_state_dict(average.state())
    look = Validation(
        run.denoiser, run.dataset, run.objective, run.order.unseen, 3, run.device, Ranks()
    )
    run.model.eval()
    again = look(12)
    assert again.loss == pytest.approx(found[-1].loss, rel=1e-6)
    assert look(12) == again


@pytest.mark.parametrize(
    "learned", [{"times": "adaptive"}, {"times": "importance"}, {"uncertainty": True}]
)
def test_a_look_does_not_depend_on_what_the_objective_has_learned(learned):
    heard = []
    run = trainer(heard=heard, every=4, examples=10, objective=ObjectiveOptions(**learned))
    run.fit()
    first, *others = [[(one.low, one.high) for one in look.bins] for look in looks(heard)]
    assert others == [first, first]
    whom = run.denoiser, run.dataset
    how = run.order.unseen, 10, run.device, Ranks()
    run.model.eval()
    new = Objective(ObjectiveOptions(**learned), seed=2)
    assert Validation(*whom, run.objective, *how)(12) == Validation(*whom, new, *how)(12)


def test_the_bins_of_a_look_are_the_whole_look_from_noise_to_data():
    heard = []
    trainer(heard=heard, every=12, examples=17).fit()
    (found,) = looks(heard)
    assert len(found.bins) == BINS
    assert sum(one.count for one in found.bins) == 17
    mean = sum(one.loss * one.count for one in found.bins) / 17
    assert mean == pytest.approx(found.loss, rel=1e-12)
    edges = [edge for one in found.bins for edge in (one.low, one.high)]
    assert edges == sorted(edges)


def test_looking_and_showing_change_nothing_that_is_learned():
    plain = trainer(every=12, examples=10)
    watched = evolve(
        trainer(every=1, examples=10, objective=ObjectiveOptions()),
        preview=PreviewOptions(every=1),
        draw=lambda denoiser: torch.rand(4, 1, 2, 2).mul(255).byte(),
    )
    heard = []
    states = [
        plain.fit().average.state(),
        evolve(watched, observers=[heard.append]).fit().average.state(),
    ]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert [event.step for event in heard if isinstance(event, Sampled)] == [*range(1, 13)]


def test_training_ends_when_it_no_longer_gets_better():
    heard = []
    run = trainer(heard=heard, every=2, examples=10, patience=2, min_change=1e9)
    outcome = run.fit()
    assert outcome.step == 6  # the first look is the best there is, two more are waited for
    assert outcome.reason.startswith("no better loss of held-out examples than ")
    assert [event.reason for event in heard if isinstance(event, Finished)] == [outcome.reason]
    assert len([event for event in heard if isinstance(event, Stepped)]) == 6


def test_training_that_was_given_up_stays_given_up():
    run = trainer(every=2, examples=10, patience=2, min_change=1e9)
    kept = Kept()
    evolve(run, saver=kept).fit()
    again = trainer(every=2, examples=10, patience=2, min_change=1e9).fit(kept.checkpoint)
    assert (again.step, again.reason.partition(" than ")[0]) == (
        6,
        "no better loss of held-out examples",
    )


@define
class Kept:
    """Keeps the last snapshot in memory, as a checkpoint that was loaded."""

    run: Path = Path()
    step: int | None = None
    best: float | None = None
    checkpoint: Checkpoint | None = None

    def save(self, one, *, best=None, averages=()):
        self.step = one.step
        self.best = self.best if best is None else best
        self.checkpoint = Checkpoint(
            Path(), one.step, one.weights, one.ema, one.training, one.progress, one.record
        )

    def finish(self):
        pass

    def written(self):
        return []


def test_a_look_that_is_not_finite_is_never_the_best():
    kept, heard = Kept(), []
    run = trainer(heard=heard, every=1, examples=10)
    judged = []

    class Broken(Net):
        def forward(self, x, noise_label, cond):
            judged.append(not self.training)
            said = super().forward(x, noise_label, cond)
            # the first look of all is that of the checks, the second judges the first step
            return said + float("nan") if judged[-1] and sum(judged) == 2 else said

    evolve(run, denoiser=evolve(run.denoiser, backbone=Broken()), saver=kept).fit()
    losses = [event.loss for event in heard if isinstance(event, Validated)]
    assert losses[0] != losses[0]
    assert kept.checkpoint.progress["course"]["best"] == min(losses[1:])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ComponentError("backbone", "has returned nothing"), "backbone: has returned nothing"),
        (torch.OutOfMemoryError("CUDA out of memory"), "draw fewer images with --preview.n"),
    ],
)
def test_a_preview_that_cannot_be_drawn_is_missed_and_nothing_else(caplog, error, said):
    def draw(denoiser):
        raise error

    heard = []
    run = evolve(trainer(heard=heard), preview=PreviewOptions(every=4), draw=draw)
    assert run.fit().step == 12
    assert [event for event in heard if isinstance(event, Sampled)] == []
    assert "no preview of step 4: " in caplog.text
    assert said in caplog.text


def test_a_preview_is_left_for_whoever_asks_the_run_to_end():
    calls = []

    def draw(denoiser):
        for _ in range(1000):
            calls.append(1)
            denoiser(torch.zeros(1, 2), 0.5, Condition(torch.zeros(1).long()))

    asked = iter([*[""] * 5, *["SIGTERM"] * 9])
    run = evolve(trainer(), preview=PreviewOptions(every=1), draw=draw, stop=lambda: next(asked))
    outcome = run.fit()
    assert (outcome.step, outcome.reason) == (1, "SIGTERM")
    assert len(calls) < 9


def test_looks_send_no_more_through_the_network_than_steps_do():
    seen = []

    class Watched(Net):
        def forward(self, x, noise_label, cond):
            seen.append(len(x))
            return super().forward(x, noise_label, cond)

    run = trainer(every=6, examples=10)
    options = evolve(run.options, micro_batch=2)
    evolve(run, options=options, denoiser=evolve(run.denoiser, backbone=Watched())).fit()
    assert max(seen) == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyboardInterrupt(), "interrupted"), (OSError("gone\nfor good"), "OSError: gone for good")],
)
def test_what_ended_a_run_is_said_to_whoever_watches_it(error, said):
    def stop():
        raise error

    heard = []
    with pytest.raises(type(error)):
        evolve(trainer(heard=heard), stop=stop).fit()
    assert [event.reason for event in heard if isinstance(event, Finished)] == [said]


def test_training_ends_when_its_time_is_over():
    run = trainer()
    outcome = evolve(run, options=evolve(run.options, hours=1e-12)).fit()
    assert (outcome.step, outcome.reason) == (0, "1e-12 hours are over")


def test_training_ends_when_it_is_asked_to():
    heard = []
    asked = iter(["", "", "SIGTERM"])
    outcome = evolve(trainer(heard=heard), stop=lambda: next(asked)).fit()
    assert (outcome.step, outcome.reason) == (2, "SIGTERM")
