"""The moving average keeps names, float32 and buffers."""

import pytest
import torch
from torch import nn

from diffx_core.engine.ema import WeightAverage


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_the_average_is_the_recursion():
    net = model()
    average = WeightAverage(net, decay=0.9)
    expected = net[0].weight.detach().clone()
    for n in range(1, 30):
        with torch.no_grad():
            net[0].weight += 1.0
        average.update()
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * net[0].weight.detach()
    assert torch.allclose(average.state()["0.weight"], expected, atol=1e-5)


def test_the_state_has_the_keys_of_the_model_and_its_buffers():
    net = model()
    average = WeightAverage(net, 0.9)
    net(torch.randn(8, 3))
    state = average.state()
    assert state.keys() == net.state_dict().keys()
    assert torch.equal(state["1.running_mean"], net[1].running_mean)


def test_the_average_of_a_half_precision_model_moves():
    net = nn.Linear(4, 4).bfloat16()
    average = WeightAverage(net, 0.9999)
    before = average.state()["weight"]
    with torch.no_grad():
        net.weight += 0.5
    average.update()
    after = average.state()["weight"]
    assert after.dtype == torch.float32
    assert (after > before).all()


def test_the_model_has_its_own_weights_again_even_after_an_exception():
    net = model()
    average = WeightAverage(net, 0.5)
    with torch.no_grad():
        net[0].weight += 1.0
    own = net[0].weight.detach().clone()

    def fails_inside():
        with average.applied():
            assert not torch.equal(net[0].weight, own)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails_inside()
    assert torch.equal(net[0].weight, own)


def test_tied_weights_have_one_average_under_all_their_names():
    net = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    net.b.weight = net.a.weight
    average = WeightAverage(net, 0.5)
    before = net.a.weight.detach().clone()
    with torch.no_grad():
        net.a.weight += 1.0
    average.update()
    state = average.state()
    assert torch.equal(state["a.weight"], state["b.weight"])
    assert not torch.equal(state["a.weight"], before)
    assert not torch.equal(state["a.weight"], net.a.weight)


def test_a_state_that_was_handed_out_does_not_change():
    net = model()
    average = WeightAverage(net, 0.5)
    state = average.state()["0.weight"].clone()
    handed = average.state()
    with torch.no_grad():
        net[0].weight += 1.0
    average.update()
    assert torch.equal(handed["0.weight"], state)
