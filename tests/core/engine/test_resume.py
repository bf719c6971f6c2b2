"""Training that goes on from a checkpoint is, bit for bit, training that never stopped."""

import os
from pathlib import Path
from threading import Event

import pytest
import torch
from attrs import define, evolve, field, frozen
from torch import nn

from diffx_core import (
    PREDICTIONS,
    Batch,
    CheckpointError,
    Condition,
    Dataset,
    DataSpec,
    NetworkDenoiser,
)
from diffx_core.engine.averaging.snapshots import snapshots
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.events import Saved, Stepped
from diffx_core.engine.saver import Saver
from diffx_core.engine.saving import save_checkpoint
from diffx_core.engine.trainer import Trainer
from diffx_core.objective import Objective
from diffx_core.options import (
    EmaOptions,
    ObjectiveOptions,
    SaveOptions,
    TrainOptions,
    ValidateOptions,
)
from diffx_core.testing.oracle import ReferenceVP

STEPS = 12
EPOCH = 5
"""Steps in an epoch of the data below: 20 examples, batches of 4."""


@frozen
class Moving(Dataset):
    """Twenty points, which training sees moved at random, read by workers if there are any."""

    streams: bool = True
    spec: DataSpec = field(factory=lambda: DataSpec((2,), num_classes=4, sigma_data=0.7))

    def __len__(self):
        return 20

    def batch(self, index):
        angle = index * torch.pi / 10
        return Batch(torch.stack([angle.cos(), angle.sin()], 1), Condition(index // 5), index)

    def augmented(self, index, *, seed, step):
        batch = self.batch(index)
        moved = [hash((seed, step, one)) % 7 for one in index.tolist()]
        batch.x.add_(0.01 * torch.tensor(moved)[:, None])
        return batch


class Net(nn.Module):
    """With dropout and statistics, so that every kind of state is there."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Dropout(0.2), nn.Linear(16, 2)
        )

    def forward(self, x, noise_label, cond):
        told = torch.eye(5)[cond.label % 5]
        return self.net(torch.cat([x, noise_label[:, None] / 1000, told], 1))


@define
class Keeper:
    """Saves at once, in a folder."""

    run: object
    step: int | None = None
    best: float | None = None

    def save(self, snapshot, *, best=None, averages=()):
        self.step = snapshot.step
        self.best = self.best if best is None else best
        save_checkpoint(self.run, snapshot)

    def save_averages(self, averages):
        pass

    def finish(self):
        pass

    def written(self):
        return []


def trainer(run, **options):
    torch.manual_seed(0)
    ema = options.pop("ema", {})
    objective = ObjectiveOptions(**options.pop("objective", {}))
    validate = ValidateOptions(**options.pop("validate", {}))
    every = options.pop("every", 1)
    prediction = PREDICTIONS[objective.prediction]
    denoiser = NetworkDenoiser(Net(), ReferenceVP(), prediction, sigma_data=0.7)
    common = {"steps": STEPS, "batch_size": 4, "warmup": 3, "grad_clip": 0.5, "workers": 0}
    return Trainer(
        denoiser,
        Moving(),
        Objective(objective, seed=3),
        TrainOptions(**{**common, **options}),
        EmaOptions(**ema),
        saver=Keeper(run),
        save=SaveOptions(every=every),
        validate=validate,
    )


def trained(run, start=None, **options):
    """All that a run ends with, and the learning rates of its steps."""
    rates = []
    hear = lambda event: rates.append(event.lr) if isinstance(event, Stepped) else None  # noqa: E731
    one = evolve(trainer(run, **options), observers=[hear])
    one.fit(start)
    return load_checkpoint(run / "checkpoints" / f"step-{one.options.steps:08d}"), rates


def differences(one, other):
    """Names of what is not equal to the last bit."""
    found = [name for name in ("progress", "record") if getattr(one, name) != getattr(other, name)]
    for part in ("weights", "ema", "training"):
        mine, others = getattr(one, part), getattr(other, part)
        assert set(mine) == set(others)
        found += [name for name in mine if not torch.equal(mine[name], others[name])]
    return found


VARIANTS = {
    "plain": {},
    "workers": {"workers": 2},
    "accumulation": {"micro_batch": 2},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "cosine": {"lr_schedule": "cosine", "optimizer": "adam"},
    "muon": {"optimizer": "muon", "lr_schedule": "inverse_sqrt"},
    "sgd": {"optimizer": "sgd", "lr_schedule": "linear", "lr": 0.05},
    "power": {"ema": {"kind": "power", "every": 2}},
    "rare average": {"ema": {"every": 8}},
    "late average": {"ema": {"start": 6, "every": 2}},
    "unaveraged": {"ema": {"kind": "none"}},
    "adaptive times": {"objective": {"times": "adaptive"}},
    "uncertainty": {"objective": {"uncertainty": True}},
    "held out": {"validate": {"every": 2, "examples": 4}},
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_going_on_is_never_having_stopped(tmp_path, variant):
    whole, rates = trained(tmp_path / "whole", **variant)
    for k in (2, EPOCH, STEPS - 1):
        start = load_checkpoint(tmp_path / "whole" / "checkpoints" / f"step-{k:08d}")
        resumed, later = trained(tmp_path / f"from-{k}", start, **variant, every=99)
        assert differences(whole, resumed) == []
        # a step that float16 is too small for has no rate
        assert later == rates[start.progress["course"]["updates"] :]


def test_the_number_of_workers_may_change(tmp_path):
    whole, _ = trained(tmp_path / "whole")
    start = load_checkpoint(tmp_path / "whole" / "checkpoints" / "step-00000003")
    resumed, _ = trained(tmp_path / "resumed", start, workers=2)
    assert differences(whole, resumed) == []


def test_a_run_that_has_ended_has_nothing_to_save(tmp_path):
    whole, _ = trained(tmp_path / "whole")
    one = trainer(tmp_path / "again")
    assert one.fit(whole).step == STEPS
    assert not (tmp_path / "again").exists()
    assert all(torch.equal(one.model.state_dict()[name], w) for name, w in whole.weights.items())


def test_a_run_can_be_made_longer(tmp_path):
    whole, _ = trained(tmp_path / "whole", steps=2 * STEPS)
    first, _ = trained(tmp_path / "first")
    longer, _ = trained(tmp_path / "longer", first, steps=2 * STEPS)
    assert differences(whole, longer) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"optimizer": "sgd"}, "moved by AdamW, which cannot go on as SGD"),
        ({"ema": {"kind": "power"}}, "averaged by kind=exponential"),
        ({"objective": {"uncertainty": True}}, "does not fit this run"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, changed, message):
    start, _ = trained(tmp_path / "first")
    with pytest.raises(CheckpointError, match=message):
        trained(tmp_path / "other", start, steps=2 * STEPS, **changed)


POWER = {"ema": {"kind": "power", "snapshot_every": 4}}


def test_what_is_kept_of_a_step_is_written_before_its_checkpoint(tmp_path, monkeypatch):
    names = []

    def recorded(call):
        def called(source, target, **options):
            names.append(Path(target).name)
            return call(source, target, **options)

        return called

    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, recorded(getattr(os, name)))
    evolve(trainer(tmp_path, **POWER, every=4), saver=Saver(tmp_path)).fit()
    for step in (4, 8, 12):
        name = f"step-{step:08d}"
        kept = [names.index(f"{name}-{width}.json") for width in ("0.050", "0.100")]
        assert max(kept) < names.index(name)


def test_what_is_kept_of_another_way_is_gone_before_the_first_step(tmp_path):
    evolve(trainer(tmp_path, **POWER, every=6, steps=11), saver=Saver(tmp_path)).fit()
    assert [one.step for one in snapshots(tmp_path)] == [4, 4, 8, 8, 11, 11]

    def interrupted():
        raise KeyboardInterrupt

    start = load_checkpoint(tmp_path / "checkpoints" / "step-00000006")
    with pytest.raises(KeyboardInterrupt):
        evolve(trainer(tmp_path, **POWER), saver=Saver(tmp_path), stop=interrupted).fit(start)
    assert [one.step for one in snapshots(tmp_path)] == [4, 4]


def test_a_step_that_is_being_saved_is_not_saved_again_when_the_run_is_ended(tmp_path, monkeypatch):
    opened, published, rename, write = Event(), [], os.rename, os.write

    def gated(*arguments):
        opened.wait()
        return write(*arguments)

    def recorded(source, target, **options):
        published.append(Path(target).name)
        return rename(source, target, **options)

    monkeypatch.setattr(os, "write", gated)
    monkeypatch.setattr(os, "rename", recorded)
    asked, heard = iter(["", "", "", "", "SIGTERM"]), []

    def stop():
        reason = next(asked)
        if reason:
            assert published == []  # the save of the fourth step is under way
            opened.set()
        return reason

    one = trainer(tmp_path, every=4)
    outcome = evolve(one, saver=Saver(tmp_path), stop=stop, observers=[heard.append]).fit()
    assert (outcome.step, outcome.reason) == (4, "SIGTERM")
    assert published == ["step-00000004"]
    assert [event.step for event in heard if isinstance(event, Saved)] == [4]
