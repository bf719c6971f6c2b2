"""When memory runs out, a run says what to do, or has found out before what fits."""

import pytest
import torch
from attrs import evolve, field, frozen
from torch import nn

from diffx_core import PREDICTIONS, Batch, ConfigError, Dataset, DataSpec, NetworkDenoiser
from diffx_core.engine.trainer import Trainer
from diffx_core.objective import Objective
from diffx_core.options import ObjectiveOptions, TrainOptions
from diffx_core.testing.oracle import ReferenceVP


@frozen
class Points(Dataset):
    """Twenty points."""

    spec: DataSpec = field(factory=lambda: DataSpec((2,)))

    def __len__(self):
        return 20

    def batch(self, index):
        angle = index * torch.pi / 10
        return Batch(torch.stack([angle.cos(), angle.sin()], 1), index=index)


class Narrow(nn.Module):
    """Takes so many examples at once and no more, and counts those that it has taken."""

    def __init__(self, room, error):
        super().__init__()
        torch.manual_seed(0)
        self.room, self.error, self.seen = room, error, []
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(0.0), nn.Linear(16, 2))
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))

    def forward(self, x, noise_label, cond):
        if self.training:
            if len(x) > self.room:
                raise self.error
            self.seen.append(len(x))
            self.taken += len(x)
        return self.net(torch.cat([x, noise_label[:, None] / 1000], 1))


OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def trainer(room, *, error=OUT, objective=None, **options):
    net = Narrow(room, error)
    denoiser = NetworkDenoiser(net, ReferenceVP(), PREDICTIONS["edm"])
    common = {"steps": 4, "batch_size": 8, "warmup": 0}
    return Trainer(
        denoiser,
        Points(),
        Objective(objective or ObjectiveOptions(), seed=1),
        TrainOptions(**{**common, **options}),
    )


@pytest.mark.parametrize(
    "error",
    [
        OUT,
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["accelerator", "python", "processor"],
)
def test_a_shortage_of_memory_comes_with_advice(error):
    with pytest.raises(ConfigError) as caught:
        trainer(3, error=error).fit()
    assert "8 examples at once do not fit into memory: --train.micro_batch 4" in str(caught.value)
    assert len(caught.value.problems) == 1


def test_other_errors_of_a_network_are_left_as_they_are():
    with pytest.raises(RuntimeError, match="shapes"):
        trainer(3, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied")).fit()


def test_one_example_that_does_not_fit_has_no_micro_batch():
    with pytest.raises(ConfigError, match="one example alone does not fit"):
        trainer(0, micro_batch=1).fit()
    with pytest.raises(ConfigError, match="one example alone does not fit"):
        trainer(0, auto_micro_batch=True).fit()


@pytest.mark.parametrize(("room", "micro"), [(8, 8), (7, 4), (3, 2), (1, 1)])
def test_what_fits_is_found_before_the_first_step(room, micro):
    run = trainer(room, auto_micro_batch=True)
    run.fit()
    assert max(run.model.seen[-8:]) == micro
    assert sum(run.model.seen[-(8 // micro) :]) == 8


def test_a_rehearsal_changes_nothing_that_is_learned():
    adaptive = ObjectiveOptions(times="adaptive")
    found = trainer(3, auto_micro_batch=True, objective=adaptive)
    told = trainer(3, micro_batch=2, objective=adaptive)
    states = [one.fit().average.state() for one in (found, told)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    one, other = found.objective.get_extra_state(), told.objective.get_extra_state()
    assert all(torch.equal(value, other["losses"][name]) for name, value in one["losses"].items())


def test_it_looks_from_the_micro_batch_down():
    run = trainer(8, auto_micro_batch=True, micro_batch=4)
    evolve(run).fit()
    assert max(run.model.seen) == 4
