"""The learning rate is a pure function of how many steps there have been."""

import math

import pytest

from diffx_core.engine.rates import learning_rate
from diffx_core.options import TrainOptions

N, W = 100, 9


def rate(schedule, updates, warmup=W):
    options = TrainOptions(steps=N, lr=2.0, warmup=warmup, lr_schedule=schedule)
    return learning_rate(options, updates)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "inverse_sqrt"])
def test_every_schedule_warms_up_linearly_to_the_highest_rate(schedule):
    assert [rate(schedule, n) for n in range(W)] == pytest.approx(
        [0.2 * n for n in range(1, W + 1)]
    )
    assert rate(schedule, W) == pytest.approx(2.0, rel=0.02)
    assert max(rate(schedule, n) for n in range(N)) <= 2.0


@pytest.mark.parametrize(
    ("schedule", "law"),
    [
        ("constant", lambda s: 1.0),
        ("cosine", lambda s: (1 + math.cos(math.pi * (s - W - 1) / (N - W))) / 2),
        ("linear", lambda s: 1 - (s - W - 1) / (N - W)),
        ("inverse_sqrt", lambda s: math.sqrt((W + 1) / s)),
    ],
)
def test_every_schedule_follows_its_law_after_warm_up(schedule, law):
    for n in range(W, N):
        assert rate(schedule, n) == pytest.approx(2.0 * law(n + 1), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_the_last_update_of_a_schedule_that_ends_is_small_and_not_zero(schedule):
    assert 0 < rate(schedule, N - 1) < 0.05
    assert rate(schedule, 10 * N) == 0


def test_a_run_shorter_than_its_warm_up_only_warms_up():
    assert rate("cosine", N - 1, warmup=1000) == pytest.approx(2.0 * N / 1001)
