"""The training loop learns, repeats itself exactly, and names whoever broke its contract."""

import io
import json

import pytest
import torch
from attrs import evolve, field, frozen
from torch import nn

from diffx_core import (
    PREDICTIONS,
    Batch,
    ComponentError,
    Condition,
    ConfigError,
    Dataset,
    DataSpec,
    NetworkDenoiser,
    NonFiniteError,
)
from diffx_core.engine.events import Finished, Started, Stepped
from diffx_core.engine.observers import MetricsFile, Progress
from diffx_core.engine.rates import learning_rate
from diffx_core.engine.trainer import Trainer
from diffx_core.objective import Objective
from diffx_core.options import EmaOptions, ObjectiveOptions, TrainOptions
from diffx_core.prediction import Level
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP


@frozen
class Points(Dataset):
    """Sixteen points on a circle, labelled by quarter."""

    spec: DataSpec = field(factory=lambda: DataSpec((2,), num_classes=4, sigma_data=0.7071))

    def __len__(self):
        return 16

    def batch(self, index):
        angle = index * torch.pi / 8
        x = torch.stack([angle.cos(), angle.sin()], 1)
        return Batch(x, Condition(index // 4), index)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, x, noise_label, cond):
        told = torch.eye(5)[cond.label % 5]
        return self.net(torch.cat([x, noise_label[:, None] / 1000, told], 1))


def trainer(*, scheduler=None, net=None, dataset=None, seed=0, **options):
    torch.manual_seed(0)
    denoiser = NetworkDenoiser(
        net or Net(), scheduler or ReferenceVP(), PREDICTIONS["edm"], sigma_data=0.7071
    )
    return Trainer(
        denoiser,
        dataset or Points(),
        Objective(seed=seed),
        TrainOptions(**{"steps": 30, "batch_size": 16, "warmup": 0, **options}),
    )


def test_training_lowers_the_loss():
    losses = []
    run = evolve(
        trainer(steps=300, lr=3e-3),
        observers=[lambda e: losses.append(e.loss) if isinstance(e, Stepped) else None],
    )
    run.fit()
    assert sum(losses[-50:]) < 0.7 * sum(losses[:50])


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    first, second, other = trainer(), trainer(), trainer(seed=1)
    states = [run.fit().average.state() for run in (first, second, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_training_leaves_the_global_generator_alone():
    run = trainer(steps=3)
    before = torch.random.get_rng_state()
    run.fit()
    assert torch.equal(torch.random.get_rng_state(), before)


class Dropping(Net):
    def __init__(self):
        super().__init__()
        self.net.insert(1, nn.Dropout(0.5))


def test_the_seed_covers_what_the_network_draws():
    states = []
    for unrelated in (1, 2):
        run = trainer(net=seeded(Dropping), steps=5)
        torch.manual_seed(unrelated)
        states.append(run.fit().average.state())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def seeded(build):
    torch.manual_seed(0)
    return build()


def test_a_look_at_the_components_changes_none_of_them():
    class Counting(Net):
        def __init__(self):
            super().__init__()
            self.net.insert(0, nn.BatchNorm1d(8))

    run = trainer(net=Counting())
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.check()
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
    assert run.model.training


def test_one_step_is_adamw_with_warm_up_clipping_and_decay():
    options = {"steps": 1, "lr": 0.1, "warmup": 1, "weight_decay": 0.3, "grad_clip": 1e-3}
    run, twin = trainer(**options), trainer(**options)
    heard = []
    evolve(run, observers=[heard.append]).fit()
    batch = twin.dataset.batch(twin.order.indices(0))
    twin.objective(twin.denoiser, batch, 0).backward()
    norm = torch.nn.utils.clip_grad_norm_(twin.model.parameters(), 1e-3)
    torch.optim.AdamW(twin.model.parameters(), lr=0.05, weight_decay=0.3).step()
    assert heard[1].lr == 0.05
    assert heard[1].grad_norm == pytest.approx(float(norm), rel=1e-5)
    for mine, other in zip(run.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6)


def test_the_parameters_of_the_objective_learn_too_and_are_clipped_along():
    options = {"steps": 1, "lr": 0.1, "grad_clip": 1e-3, "weight_decay": 0.5}
    run, twin = (
        evolve(trainer(**options), objective=Objective(ObjectiveOptions(uncertainty=True)))
        for _ in range(2)
    )
    for one in (run, twin):
        torch.nn.init.constant_(one.objective.uncertainty.weight, 0.2)
    heard = []
    evolve(run, observers=[heard.append]).fit()
    batch = twin.dataset.batch(twin.order.indices(0))
    twin.objective(twin.denoiser, batch, 0).backward()
    everything = [*twin.model.parameters(), *twin.objective.parameters()]
    norm = torch.nn.utils.clip_grad_norm_(everything, 1e-3)
    # The uncertainty is not decayed: zero is not what it should be without reason.
    torch.optim.AdamW(twin.objective.parameters(), lr=0.1, weight_decay=0.0).step()
    assert heard[1].grad_norm == pytest.approx(float(norm), rel=1e-5)
    found, expected = (one.objective.uncertainty.weight for one in (run, twin))
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.isclose(found, torch.full_like(found, 0.2), atol=1e-3).any()


def test_an_objective_that_does_not_suit_the_process_is_refused_before_the_first_step():
    heard = []
    objective = Objective(ObjectiveOptions(times="log_normal_sigma", times_mean=-30.0))
    run = evolve(trainer(), objective=objective, observers=[heard.append])
    with pytest.raises(ConfigError, match="log_normal_sigma with mean -29"):
        run.fit()
    assert heard == []


def test_trainers_do_not_share_an_objective():
    first, second = (Trainer(trainer().denoiser, Points()) for _ in range(2))
    assert first.objective is not second.objective


def test_observers_hear_every_step():
    heard = []
    evolve(trainer(steps=4), observers=[heard.append]).fit()
    assert isinstance(heard[0], Started)
    assert heard[0].parameters == sum(p.numel() for p in Net().parameters())
    assert [event.step for event in heard[1:-1]] == [1, 2, 3, 4]
    assert isinstance(heard[-1], Finished)


def test_metrics_are_json_lines(tmp_path):
    evolve(trainer(steps=25), observers=[MetricsFile(tmp_path / "m.jsonl", every=10)]).fit()
    rows = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 10, 20, 25]
    assert set(rows[0]) == {"step", "loss", "lr", "grad_norm", "seconds", "examples_per_second"}


def test_progress_off_a_terminal_is_plain_lines():
    stream = io.StringIO()
    evolve(trainer(steps=20), observers=[Progress(stream)]).fit()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("step 2/20  loss ")
    assert lines[-1].startswith("20 steps in ")
    assert "\r" not in stream.getvalue()


def test_progress_on_a_terminal_is_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    evolve(trainer(steps=20), observers=[Progress(stream)]).fit()
    assert "20/20" in stream.getvalue()


@pytest.mark.parametrize(("step", "share"), [(0, 0.1), (4, 0.5), (9, 1.0), (1000, 1.0)])
def test_the_learning_rate_warms_up_linearly(step, share):
    assert learning_rate(TrainOptions(lr=2.0, warmup=9), step) == pytest.approx(2.0 * share)


class Explodes(Net):
    """Says nothing finite in some of the steps."""

    def __init__(self, *steps):
        super().__init__()
        self.steps, self.step = steps, 0

    def forward(self, x, noise_label, cond):
        self.step += torch.is_grad_enabled()
        return super().forward(x, noise_label, cond) * (
            float("nan") if self.step in self.steps else 1
        )


def test_a_loss_that_is_not_finite_again_and_again_ends_the_run_and_moves_nothing():
    net = Explodes(1, 2, 3)
    before = [one.detach().clone() for one in net.parameters()]
    with pytest.raises(
        NonFiniteError, match=r"step 3: loss nan.*examples \[\d+, .*not moved for 3"
    ):
        trainer(net=net).fit()
    assert all(map(torch.equal, net.parameters(), before))


def test_one_loss_that_is_not_finite_moves_neither_weights_nor_average(caplog):
    heard = []
    run = trainer(net=Explodes(2), steps=3, lr_schedule="linear")
    evolve(run, observers=[heard.append]).fit()
    taken = [event for event in heard if isinstance(event, Stepped)]
    assert [event.step for event in taken] == [1, 3]
    assert [event.lr for event in taken] == [
        learning_rate(run.options, 0),
        learning_rate(run.options, 2),  # whatever is lost, the rate ends where it should
    ]
    assert "step 2: loss nan" in caplog.text


class WrongShape(Net):
    def forward(self, x, noise_label, cond):
        return super().forward(x, noise_label, cond)[:, :1]


class WrongType(Net):
    def forward(self, x, noise_label, cond):
        return super().forward(x, noise_label, cond).double()


class NotANumber(Net):
    def forward(self, x, noise_label, cond):
        return super().forward(x, noise_label, cond) / 0


@frozen
class NaNInside(ReferenceVP):
    def sigma(self, t):
        return torch.where((t > 0.4) & (t < 0.6), float("nan"), super().sigma(t))


@frozen
class WrongTimes(ReferenceVP):
    def alpha(self, t):
        return super().alpha(t).mean()


@frozen
class SinglePrecision(ReferenceVP):
    def alpha(self, t):
        return super().alpha(t).float()


@frozen
class Mislabelled(Points):
    def batch(self, index):
        return evolve(super().batch(index), cond=Condition(index))


@frozen
class Unlabelled(Points):
    def batch(self, index):
        return evolve(super().batch(index), cond=Condition())


@frozen
class Misshapen(Points):
    def batch(self, index):
        return evolve(super().batch(index), x=torch.zeros(len(index), 3))


@frozen
class Integers(Points):
    def batch(self, index):
        return evolve(super().batch(index), x=torch.zeros(len(index), 2, dtype=torch.uint8))


BROKEN = [
    ("backbone", {"net": WrongShape()}, r"returned \(2, 1\) for an input of shape \(2, 2\)"),
    ("backbone", {"net": WrongType()}, "returned torch.float64"),
    ("backbone", {"net": NotANumber()}, "not finite"),
    ("scheduler", {"scheduler": NaNInside()}, r"sigma\(t\) is not finite at t = 0.4"),
    ("scheduler", {"scheduler": WrongTimes()}, r"alpha\(t\) does not have the shape"),
    ("scheduler", {"scheduler": SinglePrecision()}, r"alpha\(t\) is torch.float32"),
    ("dataset", {"dataset": Mislabelled()}, r"labels \d+..\d+ of 4"),
    ("dataset", {"dataset": Unlabelled()}, "do not agree"),
    ("dataset", {"dataset": Misshapen()}, r"gives examples \(3,\), says \(2,\)"),
    ("dataset", {"dataset": Integers()}, "torch.uint8"),
]


@pytest.mark.parametrize(("kind", "parts", "message"), BROKEN, ids=[b[2] for b in BROKEN])
def test_a_component_that_breaks_its_contract_is_named_before_the_first_step(kind, parts, message):
    heard = []
    with pytest.raises(ComponentError, match=message) as caught:
        evolve(trainer(**parts), observers=[heard.append]).fit()
    assert caught.value.kind == kind
    assert heard == []


def test_label_dropout_hides_the_share_it_should():
    seen = []

    class Listens(Net):
        def forward(self, x, noise_label, cond):
            seen.append(cond.label)
            return super().forward(x, noise_label, cond)

    denoiser = NetworkDenoiser(Listens(), ReferenceFlow(), PREDICTIONS["flow"])
    objective = Objective(ObjectiveOptions(label_dropout=0.25))
    index = torch.arange(4000)
    batch = Batch(torch.zeros(4000, 2), Condition(index % 4), index)
    objective(denoiser, batch, step=0)
    hidden = seen[0] == -1
    assert torch.equal(seen[0][~hidden], (index % 4)[~hidden])
    assert float(hidden.float().mean()) == pytest.approx(0.25, abs=5 * (0.1875 / 4000) ** 0.5)


def test_the_exact_network_has_no_avoidable_loss():
    """On a single point the ideal output is known, and its loss is zero for every prediction."""
    for head in PREDICTIONS.values():

        def ideal(x, noise_label, cond, head=head):
            t = noise_label.double() / 1000
            level = Level(ReferenceVP(), t, 1.0)
            p, q = head.target(level)
            x0 = torch.full_like(x, 0.5)
            eps = (x * level.spread[:, None] - level.alpha[:, None] * x0) / level.sigma[:, None]
            return p[:, None] * x0 + q[:, None] * eps

        denoiser = NetworkDenoiser(ideal, ReferenceVP(), head)
        batch = Batch(torch.full((64, 2), 0.5, dtype=torch.float64), Condition(), torch.arange(64))
        assert float(Objective()(denoiser, batch, step=0)) < 1e-5


def test_ema_options_reach_the_average():
    state = evolve(trainer(), ema=EmaOptions(decay=0.0)).fit().average.state()
    own = evolve(trainer(), ema=EmaOptions(decay=0.0))
    own.fit()
    assert all(torch.equal(state[name], value) for name, value in own.model.state_dict().items())
