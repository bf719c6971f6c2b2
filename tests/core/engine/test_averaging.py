"""Averages of the weights: their values, their names, and what they leave alone."""

import copy

import pytest
import torch
from torch import nn
from torch_ema import ExponentialMovingAverage

from diffx_core.engine.averaging import Exponential, Power, Unaveraged, average_of
from diffx_core.errors import CheckpointError, ConfigError
from diffx_core.options import EmaOptions

KINDS = {
    "exponential": EmaOptions(decay=0.9),
    "late": EmaOptions(decay=0.9, start=3, every=2),
    "power": EmaOptions(kind="power", sigma_rel=(0.1, 0.05)),
    "none": EmaOptions(kind="none"),
}
EVERY = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def moved(net, generator=None):
    """Take a step somewhere."""
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape, generator=generator))


def run(net, average, steps):
    """Step and average; returns the weights of every step."""
    path = []
    for step in steps:
        moved(net, torch.Generator().manual_seed(step))
        average.update(step)
        path.append(net[0].weight.detach().clone())
    return path


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_exponential_average_is_that_of_torch_ema():
    net = model()
    average = Exponential(net, 0.5)
    theirs = ExponentialMovingAverage(net.parameters(), 0.5)
    for step in range(1, 40):
        moved(net)
        average.update(step)
        theirs.update()
    ours = average.state()
    for (name, _), expected in zip(net.named_parameters(), theirs.shadow_params, strict=True):
        # Each update rounds twice, and forgets half of what was wrong before.
        torch.testing.assert_close(ours[name], expected, atol=0, rtol=1e-5)


def test_the_exponential_average_is_the_recursion():
    net = model()
    average = Exponential(net, 0.9)
    expected = net[0].weight.detach().double()
    for n, weight in enumerate(run(net, average, range(1, 30)), start=1):
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * weight
    assert torch.allclose(average.state()["0.weight"].double(), expected, atol=1e-5)


def test_an_average_begins_at_the_weights_of_its_start():
    net = model()
    average = Exponential(net, 0.99, start=5)
    path = run(net, average, range(1, 5))
    assert torch.equal(average.state()["0.weight"], path[-1])
    path += run(net, average, [5])
    assert torch.equal(average.state()["0.weight"], path[-1])
    path += run(net, average, [6])
    expected = path[4] + (1 - 2 / 11) * (path[5] - path[4])
    assert torch.allclose(average.state()["0.weight"], expected, atol=1e-6)


def test_an_update_every_few_steps_keeps_what_those_steps_would():
    net = model()
    average = Exponential(net, 0.1, every=2)
    before = net[0].weight.detach().clone()
    path = run(net, average, range(1, 4))
    # 0.1^2 is less than (1 + 1) / (10 + 1), with which torch-ema warms up.
    expected = 0.01 * before + 0.99 * path[1]
    assert torch.allclose(average.state()["0.weight"], expected, atol=1e-6)


@EVERY
def test_the_state_has_the_keys_and_the_buffers_of_the_model(options):
    net = model()
    average = average_of(net, options)
    net(torch.randn(8, 3))
    run(net, average, range(1, 8))
    state = average.state()
    assert list(state) == list(net.state_dict())
    assert torch.equal(state["1.running_mean"], net[1].running_mean)
    assert torch.equal(state["1.num_batches_tracked"], torch.tensor(1))


@EVERY
def test_before_any_step_the_average_is_the_weights_themselves(options):
    net = model()
    average = average_of(net, options)
    moved(net)  # as when weights are loaded after the average was made
    assert equal(average.state(), net.state_dict())
    own = copy.deepcopy(net.state_dict())
    with average.applied():
        assert equal(net.state_dict(), own)


@EVERY
def test_the_average_of_a_half_precision_model_is_float32_and_moves(options):
    net = nn.Linear(4, 4).bfloat16()
    average = average_of(net, options)
    before = average.state()["weight"].clone()
    for step in range(1, 8):
        with torch.no_grad():
            net.weight += 0.5
        average.update(step)
    after = average.state()["weight"]
    assert after.dtype == torch.float32
    assert (after > before).all()


def test_small_steps_of_half_precision_weights_are_not_rounded_away():
    net = nn.Linear(1, 1, bias=False).bfloat16()
    nn.init.ones_(net.weight)
    average = Exponential(net, 0.9999)
    with torch.no_grad():
        net.weight += 2**-7  # the next number after one
    for step in range(1, 101):
        average.update(step)
    assert 1 < average.state()["weight"].item() < 1 + 2**-7


@EVERY
def test_the_model_has_its_own_weights_again_even_after_an_exception(options):
    net = model()
    average = average_of(net, options)
    run(net, average, range(1, 8))
    own, averaged = copy.deepcopy(net.state_dict()), copy.deepcopy(average.state())

    def fails_inside():
        with average.applied():
            assert equal(net.state_dict(), averaged)
            net(torch.randn(8, 3))  # in training mode, so the statistics change
            assert net[1].num_batches_tracked == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails_inside()
    assert equal(net.state_dict(), own)


@EVERY
def test_an_average_that_is_applied_is_neither_averaged_nor_applied_again(options):
    net = model()
    average = average_of(net, options)
    run(net, average, range(1, 8))
    own = copy.deepcopy(net.state_dict())
    with average.applied():
        with pytest.raises(RuntimeError, match="averaged again"):
            average.update(8)
        with pytest.raises(RuntimeError, match="already"), average.applied():
            pass
    assert equal(net.state_dict(), own)


@EVERY
def test_tied_weights_have_one_average_under_all_their_names(options):
    net = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    net.b.weight = net.a.weight
    average = average_of(net, options)
    for step in range(1, 8):
        moved(net)
        average.update(step)
    state = average.state()
    assert state["a.weight"] is state["b.weight"]
    again = average_of(net, options)
    again.restore(state, *average.memory())
    assert equal(again.state(), state)


@EVERY
def test_an_average_goes_on_bit_for_bit(options):
    net = model()
    average = average_of(net, options)
    run(net, average, range(1, 6))
    state, (tensors, facts) = copy.deepcopy(average.state()), copy.deepcopy(average.memory())
    later = copy.deepcopy(net)
    run(net, average, range(6, 12))

    again = average_of(later, options)
    again.restore(state, tensors, facts)
    assert equal(again.state(), state)
    run(later, again, range(6, 12))
    assert equal(again.state(), average.state())
    assert equal(again.memory()[0], average.memory()[0])
    assert again.memory()[1] == average.memory()[1]


def test_a_power_average_counts_steps_by_their_number():
    net = model()
    average = Power(net, (18**-0.5,))  # the width of gamma = 1: 2 / (3^2 4) = 1 / 18
    path = run(net, average, range(1, 200))
    ends = (torch.arange(200, dtype=torch.float64) / 199) ** 2
    expected = torch.einsum("n,nij->ij", ends.diff(), torch.stack(path).double())
    assert torch.allclose(average.state()["0.weight"].double(), expected, atol=1e-4)


def test_the_first_update_of_a_power_average_is_the_weights():
    net = model()
    average = Power(net, every=3)
    path = run(net, average, range(1, 5))
    assert torch.equal(average.state()["0.weight"], path[2])


def test_without_an_average_the_state_is_that_of_the_weights():
    net = model()
    average = average_of(net, EmaOptions(kind="none"))
    assert isinstance(average, Unaveraged)
    run(net, average, range(1, 4))
    assert equal(average.state(), net.state_dict())


@EVERY
def test_a_compiled_model_has_the_names_of_the_plain_one(options):
    net = model()
    compiled = torch.compile(net, backend="eager")
    inside = nn.Sequential(torch.compile(nn.Linear(3, 2), backend="eager"), nn.BatchNorm1d(2))
    assert any("_orig_mod" in name for name in [*compiled.state_dict(), *inside.state_dict()])
    for wrapped in (compiled, inside):
        state = average_of(wrapped, options).state()
        net.load_state_dict(state)
        assert list(state) == list(net.state_dict())


@EVERY
def test_a_distributed_model_has_the_names_of_the_plain_one(options, tmp_path):
    net = model()
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/ranks", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(net)
        averages = [average_of(one, options) for one in (wrapped, net)]
        for step in range(1, 8):
            moved(wrapped)
            for average in averages:
                average.update(step)
    finally:
        torch.distributed.destroy_process_group()
    assert all(name.startswith("module.") for name in wrapped.state_dict())
    assert equal(*(average.state() for average in averages))


@EVERY
def test_weights_in_any_layout_of_memory_are_averaged_alike(options):
    plain, last = (nn.Conv2d(3, 4, 3) for _ in range(2))
    last.load_state_dict(plain.state_dict())
    last.to(memory_format=torch.channels_last)
    averages = [average_of(one, options) for one in (plain, last)]
    for step in range(1, 8):
        for net, average in zip((plain, last), averages, strict=True):
            moved(net, torch.Generator().manual_seed(step))
            average.update(step)
    assert equal(*(average.state() for average in averages))


def test_an_average_of_another_kind_is_refused():
    net = model()
    one, other = (average_of(net, KINDS[kind]) for kind in ("power", "exponential"))
    with pytest.raises(CheckpointError, match="kind=power, which cannot go on as kind=exponential"):
        other.restore(one.state(), *one.memory())


def test_averages_of_other_widths_are_refused():
    net = model()
    one, other = Power(net, (0.1,)), Power(net, (0.2,))
    with pytest.raises(CheckpointError, match=r"widths \[0\.1\], not \[0\.2\]"):
        other.restore(one.state(), *one.memory())


@pytest.mark.parametrize("kind", ["exponential", "power"])
def test_the_average_of_another_model_is_refused(kind):
    one = average_of(nn.Linear(3, 2), KINDS[kind])
    for wrong, problem in ((nn.Linear(4, 2), r"\(2, 3\), not \(2, 4\)"), (model(), "is missing")):
        with pytest.raises(CheckpointError, match=problem):
            average_of(wrong, KINDS[kind]).restore(one.state(), *one.memory())


def test_the_options_say_which_average_it_is():
    net = model()
    exponential = average_of(net, EmaOptions(decay=0.5, every=2, start=7))
    assert isinstance(exponential, Exponential)
    assert (exponential.every, exponential.start) == (2, 7)
    power = average_of(net, EmaOptions(kind="power"))
    assert isinstance(power, Power)
    assert (power.sigma_rel, power.every, power.snapshot_every) == ((0.05, 0.10), 1, 1000)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "power", "decay": 0.9},
        {"kind": "power", "start": 5},
        {"kind": "exponential", "sigma_rel": (0.1,)},
        {"kind": "exponential", "snapshot_every": 5},
        {"kind": "none", "every": 2},
    ],
    ids=str,
)
def test_an_option_that_the_kind_does_not_use_is_refused(options):
    with pytest.raises(ConfigError, match=rf"but kind={options['kind']} does not use it: only"):
        EmaOptions(**options)


@pytest.mark.parametrize("widths", [(), (0.1, 0.1), (0.0,), (0.3,)], ids=str)
def test_widths_that_no_power_average_has_are_refused(widths):
    with pytest.raises(ValueError, match="sigma_rel"):
        EmaOptions(kind="power", sigma_rel=widths)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="choose from exponential, power, none"):
        EmaOptions(kind="exponental")
