"""The order of the examples is a pure function of (seed, step)."""

import pytest
import torch

from diffx_core.engine.order import DataOrder


@pytest.mark.parametrize(("length", "batch"), [(10, 3), (10, 10), (3, 8), (7, 7), (1, 4)])
def test_every_epoch_shows_every_example_once(length, batch):
    order = DataOrder(length, batch, seed=1)
    steps = -(-3 * length // batch)
    seen = torch.cat([order.indices(step) for step in range(steps)])
    for epoch in range(3):
        part = seen[epoch * length : (epoch + 1) * length]
        assert part.sort().values.tolist() == list(range(length))


def test_a_step_can_be_asked_for_alone():
    order = DataOrder(100, 32, seed=5)
    straight = [order.indices(step) for step in range(10)]
    assert torch.equal(DataOrder(100, 32, seed=5).indices(7), straight[7])


def test_epochs_and_seeds_differ():
    order = DataOrder(50, 50, seed=0)
    assert not torch.equal(order.indices(0), order.indices(1))
    assert not torch.equal(order.indices(0), DataOrder(50, 50, seed=1).indices(0))


@pytest.mark.parametrize(("length", "batch"), [(0, 1), (1, 0)])
def test_no_examples_or_no_batch_are_refused(length, batch):
    with pytest.raises(ValueError, match="must be >= 1"):
        DataOrder(length, batch)
