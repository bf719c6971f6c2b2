"""What a network's output means: every head tells the same two ends."""

import pytest
import torch
from attrs import frozen

from diffx_core import PREDICTIONS, ConfigError, Estimate
from diffx_core.prediction import MAX_NOISE_RATIO, Level, Prediction, prediction_named
from diffx_core.testing import REFERENCE_PROCESSES
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP

HEADS = pytest.mark.parametrize("head", PREDICTIONS.values(), ids=PREDICTIONS.keys())
PROCESSES = pytest.mark.parametrize(
    "scheduler", REFERENCE_PROCESSES, ids=[type(s).__name__ for s in REFERENCE_PROCESSES]
)


def two_ends(count):
    generator = torch.Generator().manual_seed(3)
    return (torch.randn(count, 5, dtype=torch.float64, generator=generator) for _ in range(2))


SIGMA_DATA = 0.6


def literature(scheduler, t, x, output):
    """The ends of the path from each kind of output, by the formulas of its own paper."""
    a, s = scheduler.alpha(t)[:, None], scheduler.sigma(t)[:, None]
    da, ds = scheduler.alpha_rate(t)[:, None], scheduler.sigma_rate(t)[:, None]
    radius, speed = torch.hypot(a, s), torch.maximum(da.abs(), ds.abs())
    ratio = s / a
    skip = SIGMA_DATA**2 / (ratio**2 + SIGMA_DATA**2)
    out = ratio * SIGMA_DATA / (ratio**2 + SIGMA_DATA**2).sqrt()
    data = {
        "eps": (x - s * output) / a,
        "x0": output,
        "score": (x + s**2 * (output / s)) / a,
        "v": (a * x - s * radius * output) / radius**2,
        "flow": (ds * x - s * speed * output) / (a * ds - s * da),
        "edm": skip * x / a + out * output,
    }
    return {name: (x0, (x - a * x0) / s) for name, x0 in data.items()}


@HEADS
@PROCESSES
def test_outputs_mean_what_the_literature_says(scheduler, head: Prediction):
    t = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    x, output = two_ends(len(t))
    estimate = Estimate(x, output, head.decode(Level(scheduler, t, SIGMA_DATA)))
    x0, eps = literature(scheduler, t, x, output)[head.name]
    assert torch.allclose(estimate.x0, x0, rtol=1e-11, atol=1e-11)
    assert torch.allclose(estimate.eps, eps, rtol=1e-10, atol=1e-10)


@HEADS
@PROCESSES
def test_decoding_undoes_the_target(scheduler, head: Prediction):
    t = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
    level = Level(scheduler, t, 0.6)
    x0, eps = two_ends(len(t))
    p, q = (c[:, None] for c in head.target(level))
    x = level.alpha[:, None] * x0 + level.sigma[:, None] * eps
    estimate = Estimate(x, p * x0 + q * eps, head.decode(level))
    noise_ratio = (level.sigma / level.alpha).max()
    assert (estimate.x0 - x0).abs().max() < 1e-14 * 10 * max(1, noise_ratio)
    assert (estimate.eps - eps).abs().max() < 1e-14 * 10 / (level.sigma / level.alpha).min()


@pytest.mark.parametrize("name", ["v", "flow", "edm"])
@pytest.mark.parametrize("t", [0.0, 1.0])
def test_the_rotating_heads_are_finite_where_data_or_noise_vanish(name, t):
    level = Level(ReferenceFlow(), torch.tensor([t], dtype=torch.float64), 0.5)
    assert torch.cat(PREDICTIONS[name].decode(level)).isfinite().all()


@pytest.mark.parametrize(("name", "end"), [("eps", "eps"), ("score", "eps"), ("x0", "x0")])
@pytest.mark.parametrize("t", [0.0, 1.0])
def test_an_end_that_is_read_directly_is_exact_everywhere(name, end, t):
    level = Level(ReferenceFlow(), torch.tensor([t], dtype=torch.float64), 0.5)
    decoding = PREDICTIONS[name].decode(level)
    of_x, of_f = (getattr(decoding, f"{end}_{part}") for part in "xf")
    assert of_x == 0
    assert abs(of_f) == 1


@PROCESSES
def test_edm_inputs_and_targets_have_unit_variance(scheduler):
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    level = Level(scheduler, t, 0.3)
    p, q = PREDICTIONS["edm"].target(level)
    assert torch.allclose((p * 0.3) ** 2 + q**2, torch.ones_like(t), atol=1e-12)


def test_edm_with_unit_data_is_minus_v_for_a_variance_preserving_process():
    level = Level(ReferenceVP(), torch.linspace(0.1, 1, 10, dtype=torch.float64), 1.0)
    for edm, v in zip(
        PREDICTIONS["edm"].target(level), PREDICTIONS["v"].target(level), strict=True
    ):
        assert torch.allclose(edm, -v, atol=1e-12)


def test_flow_of_straight_lines_is_noise_minus_data():
    level = Level(ReferenceFlow(), torch.linspace(0, 1, 5, dtype=torch.float64), 1.0)
    p, q = PREDICTIONS["flow"].target(level)
    assert torch.equal(p, -torch.ones(5, dtype=torch.float64))
    assert torch.equal(q, torch.ones(5, dtype=torch.float64))


def test_flow_is_the_direction_of_the_velocity_for_every_process():
    t = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    for scheduler in REFERENCE_PROCESSES:
        p, q = PREDICTIONS["flow"].target(Level(scheduler, t, 1.0))
        alpha_rate, sigma_rate = scheduler.alpha_rate(t), scheduler.sigma_rate(t)
        assert torch.allclose(p * sigma_rate, q * alpha_rate, atol=1e-12)
        assert torch.allclose(torch.maximum(p.abs(), q.abs()), torch.ones_like(t))


@frozen
class SlowEnds(ReferenceFlow):
    """Straight lines, on which data and noise begin and end to move at no speed."""

    def alpha(self, t):
        return 1 - t.square() * (3 - 2 * t)

    def sigma(self, t):
        return t.square() * (3 - 2 * t)


@frozen
class SuddenNoise(ReferenceFlow):
    """Noise that sets in at infinite speed."""

    def alpha(self, t):
        return (1 - t).sqrt()

    def sigma(self, t):
        return t.sqrt()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("scheduler", [SlowEnds(), SuddenNoise()])
def test_flow_has_a_direction_where_the_path_has_no_speed_or_an_infinite_one(scheduler, dtype):
    level = Level(scheduler, torch.tensor([0.0, 0.5, 1.0], dtype=dtype), 1.0)
    p, q = PREDICTIONS["flow"].target(level)
    expected = [[-1, -1, -1], [1, 1, 1]] if scheduler == SlowEnds() else [[0, -1, -1], [1, 1, 0]]
    assert torch.allclose(torch.stack([p, q]), torch.tensor(expected, dtype=dtype), atol=2e-3)
    decoding = torch.stack(PREDICTIONS["flow"].decode(level))
    assert decoding.isfinite().all()
    assert decoding.abs().max() < 1.5


MAGNIFYING = {("VP", "eps"), ("VP", "score"), ("Flow", "eps"), ("Flow", "score")} | {
    ("VE", name) for name in ("eps", "score", "flow")
}


@HEADS
@PROCESSES
def test_the_horizon_is_the_end_unless_errors_would_be_magnified(scheduler, head):
    time = head.horizon(scheduler)
    if (type(scheduler).__name__.removeprefix("Reference"), head.name) not in MAGNIFYING:
        assert time == scheduler.t_max
        return
    level = Level(scheduler, torch.tensor(time, dtype=torch.float64), 1.0)
    assert float(level.sigma / level.alpha) == pytest.approx(MAX_NOISE_RATIO, rel=1e-9)


def test_an_unknown_prediction_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match=r"'epsilon'.*eps, x0, score, v, flow, edm"):
        prediction_named("epsilon")
