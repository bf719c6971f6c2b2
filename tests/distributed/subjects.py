"""What the tests train, and what they look at."""

import torch
from attrs import define, evolve, field, frozen
from torch import nn

from diffx_core import PREDICTIONS, Batch, Condition, Dataset, DataSpec, NetworkDenoiser
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.events import Stepped, Validated
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

STEPS = 9


@frozen
class Points(Dataset):
    """Twenty-three points: no batch of 8 or 6 divides an epoch."""

    spec: DataSpec = field(factory=lambda: DataSpec((2,), num_classes=4, sigma_data=0.7))

    def __len__(self):
        return 23

    def batch(self, index):
        angle = index * torch.pi / 10
        return Batch(torch.stack([angle.cos(), angle.sin()], 1), Condition(index % 4), index)


class Net(nn.Module):
    """With a buffer, and a matrix that no loss depends on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.eye(5))
        self.net = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 2))

    def forward(self, x, noise_label, cond):
        told = self.table[cond.label % 5]
        return self.net(torch.cat([x, noise_label[:, None] / 1000, told], 1))


@define
class Keeper:
    """Saves at once, in a folder."""

    run: object
    step: int | None = None

    def save(self, snapshot, *, best=None):
        self.step = snapshot.step
        save_checkpoint(self.run, snapshot)

    def finish(self):
        pass

    def written(self):
        return []


def trainer(ranks, run=None, *, net=Net, dataset=None, **options):
    torch.manual_seed(ranks.rank if options.pop("astray", False) else 0)
    sections = {name: options.pop(name, {}) for name in ("ema", "objective", "validate")}
    objective = ObjectiveOptions(**sections["objective"])
    denoiser = NetworkDenoiser(
        net(), ReferenceVP(), PREDICTIONS[objective.prediction], sigma_data=0.7
    )
    common = {"steps": STEPS, "batch_size": 8, "warmup": 2, "grad_clip": 0.5}
    return Trainer(
        denoiser,
        dataset or Points(),
        Objective(objective, seed=3),
        TrainOptions(**{**common, **options}),
        EmaOptions(**sections["ema"]),
        validate=ValidateOptions(**sections["validate"]),
        save=SaveOptions(every=1),
        saver=Keeper(run) if run is not None and ranks.is_first else None,
        ranks=ranks,
    )


@define
class Heard:
    """The numbers of each step, and of each look."""

    losses: list = field(factory=list)
    norms: list = field(factory=list)
    looks: list = field(factory=list)

    def __call__(self, event):
        if isinstance(event, Stepped):
            self.losses.append(event.loss)
            self.norms.append(event.grad_norm)
        elif isinstance(event, Validated):
            self.looks.append(event.loss)


def train(ranks, run=None, start=None, options=None):
    """Train; what was heard, and what the weights and their average have become."""
    heard = Heard()
    one = evolve(trainer(ranks, run, **(options or {})), observers=[heard])
    outcome = one.fit(None if start is None else load_checkpoint(start))
    weights = {name: value.clone() for name, value in one.model.state_dict().items()}
    return heard, weights, {name: value.clone() for name, value in outcome.average.state().items()}


def train_each(ranks, variants):
    """Train with some options after others."""
    return {name: train(ranks, options=options) for name, options in variants.items()}
