"""What the tests train, and what they look at."""

import logging
import os
import signal
from datetime import timedelta

import torch
from attrs import define, evolve, field, frozen
from torch import nn
from torch.distributed.distributed_c10d import _set_pg_timeout

from diffx_cli.processes import joining
from diffx_cli.processes.joining import shared
from diffx_core import PREDICTIONS, Batch, Condition, DataError, Dataset, DataSpec, NetworkDenoiser
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.events import Stepped, Validated
from diffx_core.engine.joining import together
from diffx_core.engine.layout import place
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
MIDDLE = 4


@frozen
class Points(Dataset):
    """Twenty-three points, read by workers if that is wanted: no batch of 8 divides an epoch."""

    streams: bool = False
    spec: DataSpec = field(factory=lambda: DataSpec((2,), num_classes=4, sigma_data=0.7))

    def __len__(self):
        return 23

    def batch(self, index):
        angle = index * torch.pi / 10
        return Batch(torch.stack([angle.cos(), angle.sin()], 1), Condition(index % 4), index)


class Net(nn.Module):
    """With a buffer, as tables of positions are."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.eye(5))
        self.net = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 2))

    def forward(self, x, noise_label, cond):
        told = self.table[cond.label % 5]
        return self.net(torch.cat([x, noise_label[:, None] / 1000, told], 1))


class Block(nn.Module):
    """A step beside its input, whose length is a number alone."""

    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 7), nn.SiLU(), nn.Linear(7, width))
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x + self.gain * self.net(x)


class Blocks(Net):
    """With blocks, and with weights that no number of processes divides."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block(8) for _ in range(2))

    def forward(self, x, noise_label, cond):
        x = torch.cat([x, noise_label[:, None] / 1000, self.table[cond.label % 5]], 1)
        for block in self.blocks:
            x = block(x)
        return self.net(x)


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


class Faulty(Net):
    """Something happens from its second step on, in one of the processes.

    Args:
        happen: what.
    """

    def __init__(self, happen):
        super().__init__()
        self.happen, self.calls = happen, 0

    def forward(self, x, noise_label, cond):
        out = super().forward(x, noise_label, cond)
        self.calls += torch.is_grad_enabled()
        return self.happen(out) if self.calls > 1 and torch.is_grad_enabled() else out


def break_(_):
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def interrupt(_):
    raise KeyboardInterrupt


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def lose(out):
    return out * float("nan")


class Narrow(Net):
    """Has memory for so many examples at once.

    Args:
        room: how many.
    """

    def __init__(self, room):
        super().__init__()
        self.room = room

    def forward(self, x, noise_label, cond):
        if self.training and len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x, noise_label, cond)


class Partial(Net):
    """One of its parameters is of no use."""

    def __init__(self):
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(3))


@frozen
class Torn(Points):
    """One of its examples cannot be read."""

    def batch(self, index):
        if 7 in index:
            raise DataError("00007.png: is no image")
        return Points.batch(self, index)


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
    states = map(one.team.whole, (one.model.state_dict(), outcome.average.state()))
    return heard, *({name: value.clone() for name, value in state.items()} for state in states)


def train_each(ranks, variants):
    """Train with some options after others."""
    return {name: train(ranks, options=options) for name, options in variants.items()}


def train_torn(ranks):
    train(ranks, options={"dataset": Torn()})


def train_partial(ranks):
    train(ranks, options={"net": Partial})


def train_faulty(ranks, happen):
    """Train, and something happens in process 1."""
    net = (lambda: Faulty(happen)) if ranks.rank == 1 else Net
    train(ranks, options={"net": net})


def train_narrow(ranks, rooms):
    """Train in what memory each process has; the losses."""
    options = {"net": lambda: Narrow(rooms[ranks.rank]), "auto_micro_batch": True}
    heard, *_ = train(ranks, options=options)
    return heard.losses


def train_asked(ranks, run, reason, step):
    """Train until process 1 is asked to end; how many steps there were, and why no more."""
    heard = Heard()
    stop = lambda: reason if ranks.rank == 1 and len(heard.losses) == step else ""  # noqa: E731
    outcome = evolve(trainer(ranks, run), observers=[heard], stop=stop).fit()
    return outcome.step, outcome.reason


def train_losing(ranks):
    """Train, and one step of process 1 is not finite; the losses, what was warned of, and whom."""
    said, net = [], Net
    if ranks.rank == 1:
        net = lambda: Faulty(lambda out: out * (float("nan") if one.model.calls == 3 else 1))  # noqa: E731
    one = evolve(trainer(ranks, net=net), observers=[heard := Heard()])
    logging.getLogger("diffx_core").addHandler(handler := logging.NullHandler())
    handler.handle = lambda record: said.append(record.getMessage())
    one.fit()
    mine = one.order.of(ranks.slots(8)).indices(2)
    return len(heard.losses), said, mine.tolist()


def differ(ranks):
    """Something is not the same in process 1."""
    ranks.same("options", "all")
    ranks.same("configuration", str(ranks.rank == 1))


def tell(ranks):
    """What all of them know of each other."""
    rows = torch.full((ranks.rank, 2), float(ranks.rank))
    return ranks.told(f"I am {ranks.rank}"), ranks.joined(rows).tolist()


def stay_away(ranks):
    """Process 1 does not come before the other has given up."""
    if ranks.rank == 1:
        return ranks.board.first(100).code
    _set_pg_timeout(timedelta(seconds=1), ranks.groups[-1])  # now that both are here
    return ranks.wait()


def train_and_go_on(ranks, run, options):
    """Train; then go on from its middle, in another folder."""
    whole = train(ranks, run / "whole", None, options)
    return whole, train(ranks, run / "resumed", place(run / "whole", MIDDLE), options)


def train_by_nccl():
    """Train on an accelerator of its own; the losses."""
    device, heard = torch.device("cuda", int(os.environ["LOCAL_RANK"])), Heard()
    torch.cuda.set_device(device)
    with together(device) as ranks:
        evolve(trainer(ranks), observers=[heard], device=device).fit()
    return heard.losses


def share_another(ranks, one, other):
    """Go on from a checkpoint of which process 1 sees another one."""
    if ranks.rank == 1:
        joining.load_checkpoint = lambda *_: load_checkpoint(other)
    shared(ranks, load_checkpoint(one) if ranks.is_first else None)


HELD = []


def hold_and_fail(ranks):
    """The second fails while something that never ends holds all connections."""
    HELD.extend([ranks, *ranks.groups])
    if ranks.rank:
        raise DataError("00007.png: is no image")
    ranks.wait()
