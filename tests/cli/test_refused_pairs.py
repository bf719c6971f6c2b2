"""`diffx sample` refuses a sampler that cannot work with the run's process: nothing is built."""

import re

import pytest

from diffx_backbones.mlp import MLP

TRAIN = (
    *("train", "--scheduler", "ddpm", "--backbone", "mlp", "--dataset", "toy2d", "--out", "run"),
    *("--train.steps", "1", "--train.batch_size", "4", "--backbone.width", "8"),
)


@pytest.fixture
def without_networks(diffx, monkeypatch):
    """A run in discrete time, and no more networks after it."""
    assert diffx(*TRAIN).rc == 0

    def refuse(self, *args, **kwargs):
        raise AssertionError("a network was built")

    monkeypatch.setattr(MLP, "__init__", refuse)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--sampler", "rk45"), "needs any_time"),
        (("--sampler", "ddim", "--steps", "1001"), "1000 times: it cannot take 1001 steps"),
    ],
)
def test_a_pair_is_refused_before_there_is_a_network(diffx, without_networks, arguments, reason):
    result = diffx("sample", "run", *arguments)
    assert (result.rc, result.err.count("\n")) == (2, 1), result.err
    assert reason in result.err
    assert re.search(rf"{arguments[1]} \(diffx-samplers [\d.]+\)", result.err)
    assert re.search(r"ddpm \(diffx-schedulers [\d.]+\)", result.err)
