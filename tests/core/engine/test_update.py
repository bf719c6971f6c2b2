"""A step is the same however its batch is divided, and in whatever precision it is computed."""

import pytest
import torch
from attrs import evolve
from torch import nn

from diffx_core import PREDICTIONS, Batch, Condition, NetworkDenoiser
from diffx_core.engine.optimizers import optimizers_for
from diffx_core.engine.precision import cast, scaler_for
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.update import Update
from diffx_core.objective import Objective
from diffx_core.options import ObjectiveOptions, TrainOptions
from diffx_core.testing.oracle import ReferenceVP

CPU = torch.device("cpu")
TOTAL = 12
ALONE = Ranks()


class Net(nn.Module):
    def __init__(self, dtype=torch.float64):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(5, 8, dtype=dtype)
        self.first = nn.Linear(3, 8, dtype=dtype)
        self.last = nn.Linear(8, 2, dtype=dtype)
        self.seen = []

    def forward(self, x, noise_label, cond):
        self.seen.append(len(x))
        t = noise_label[:, None].to(x.dtype) / 1000
        hidden = self.first(torch.cat([x, t], 1)) + self.embedding(cond.label % 5)
        return self.last(hidden.tanh())


def batch(dtype=torch.float64):
    angle = torch.arange(TOTAL, dtype=dtype)
    x = torch.stack([angle.cos(), angle.sin()], 1)
    index = torch.arange(TOTAL)
    return Batch(x, Condition(index % 4), index, captions=[str(i) for i in range(TOTAL)])


def update(net, micro=TOTAL, ranks=ALONE, precision="fp32", **options):
    denoiser = NetworkDenoiser(net, ReferenceVP(), PREDICTIONS["edm"], sigma_data=0.7)
    objective = Objective(ObjectiveOptions(label_dropout=0.3), seed=1)
    chosen = TrainOptions(**options)
    backbone = cast(net, precision)
    return Update(
        evolve(denoiser, backbone=backbone),
        net,
        objective,
        optimizers_for(net, objective, chosen),
        scaler_for(precision, CPU),
        ranks,
        total=TOTAL,
        micro=micro,
        clip=1e9,
    )


def gradients(net, micro=TOTAL, ranks=ALONE):
    one = update(net, micro, ranks)
    slots = ranks.slots(TOTAL)
    loss = one.gradients(batch().part(slots.start, slots.stop), step=3)
    return float(loss), [p.grad.clone() for p in net.parameters()]


@pytest.mark.parametrize("micro", [1, 4, 5, 12])
def test_the_gradient_of_a_batch_does_not_depend_on_its_parts(micro):
    net = Net()
    loss, wanted = gradients(Net())
    parts, found = gradients(net, micro)
    assert parts == pytest.approx(loss, rel=1e-12)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-14)
    assert max(net.seen) == micro
    assert sum(net.seen) == TOTAL


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_mean_over_processes_is_the_gradient_of_the_whole_batch(world):
    loss, wanted = gradients(Net())
    found = [gradients(Net(), 2, Ranks(rank, world)) for rank in range(world)]
    assert sum(one for one, _ in found) == pytest.approx(loss, rel=1e-12)
    for place, value in enumerate(wanted):
        mean = sum(each[place] for _, each in found) / world
        assert torch.allclose(mean, value, rtol=1e-10, atol=1e-14)


def test_the_shares_of_processes_are_the_batch_in_order():
    for total in (5, 12, 64):
        for world in (1, 2, 3, 5):
            shares = [Ranks(rank, world).slots(total) for rank in range(world)]
            assert [slot for share in shares for slot in share] == list(range(total))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_part_of_a_batch_has_everything_of_its_examples():
    whole = batch()
    part = whole.part(3, 7)
    assert torch.equal(part.x, whole.x[3:7])
    assert part.index.tolist() == part.cond.label.add(0).new_tensor([3, 4, 5, 6]).tolist()
    assert torch.equal(part.cond.label, whole.cond.label[3:7])
    assert part.captions == ["3", "4", "5", "6"]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_moves_float32_weights_nearly_as_float32_does(precision):
    moved = []
    for each in ("fp32", precision):
        net = Net(torch.float32)
        before = [p.detach().clone() for p in net.parameters()]
        taken = update(net, precision=each, optimizer="sgd")(batch(torch.float32), 0, lr=0.1)
        assert taken.is_finite
        assert all(p.dtype == torch.float32 for p in net.parameters())
        moved.append([p.detach() - b for p, b in zip(net.parameters(), before, strict=True)])
    for one, other in zip(*moved, strict=True):
        # bfloat16 has 8 bits, and a gradient is a product of a few numbers of them
        assert (one - other).norm() < 2**-5 * one.norm()
        assert not torch.equal(one, other)


def test_a_scale_that_is_too_large_is_halved_and_moves_nothing():
    net = Net(torch.float32)
    one = update(net, precision="fp16")
    one.scaler.load_state_dict({**one.scaler.state_dict(), "scale": 2.0**40})
    before = [p.detach().clone() for p in net.parameters()]
    taken = one(batch(torch.float32), 0, lr=0.1)
    assert not taken.is_finite
    assert torch.tensor(taken.loss).isfinite()
    assert all(map(torch.equal, net.parameters(), before))
    assert one.scaler.get_scale() == 2.0**39


def reference(name, parameters):
    match name:
        case "adamw":
            return torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.3)
        case "adam":
            return torch.optim.Adam(parameters, lr=0.1, weight_decay=0.3)
        case "sgd":
            return torch.optim.SGD(
                parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.3
            )


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_optimizers_are_those_of_torch(name):
    net, twin = Net(), Net()
    one, other = update(net, optimizer=name, weight_decay=0.3), update(twin)
    steps = reference(name, twin.parameters())
    for step in range(3):
        one(batch(), step, lr=0.1)
        other.gradients(batch(), step)
        steps.step()
        steps.zero_grad()
    for mine, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_muon_moves_matrices_and_adamw_the_rest():
    net = Net(torch.float32)
    one = update(net, optimizer="muon")
    muon, adamw = one.optimizers.parts
    assert (type(muon), type(adamw)) == (torch.optim.Muon, torch.optim.AdamW)
    names = {id(p): name for name, p in net.named_parameters()}
    inner = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    outer = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert inner == {"first.weight", "last.weight"}
    assert outer == {"embedding.weight", "first.bias", "last.bias"}
    before = [p.detach().clone() for p in net.parameters()]
    one(batch(torch.float32), 0, lr=0.1)
    assert not any(map(torch.equal, net.parameters(), before))
