"""A network becomes a denoiser: the same answer, whatever its output means."""

import pytest
import torch
from attrs import define, field

from diffx_core import PREDICTIONS, ComponentError, Condition, NetworkDenoiser
from diffx_core.estimate import spread
from diffx_core.prediction import Level, Prediction
from diffx_core.scheduler import Scheduler
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP

STD = 0.5


@define(eq=False)
class OracleBackbone:
    """A network that says exactly what it should about Gaussian data, in a prediction's words."""

    scheduler: Scheduler
    prediction: Prediction
    mean: float = 0.7
    seen: list = field(factory=list)

    def __call__(self, x, noise_label, cond):
        self.seen.append((x, noise_label, cond))
        t = noise_label.double() / 1000
        level = Level(self.scheduler, t, STD)
        x = x * spread(level.spread, x)
        estimate = GaussianDenoiser(self.scheduler, self.mean, STD)(x, t)
        p, q = (spread(c, x) for c in self.prediction.target(level))
        return p * estimate.x0 + q * estimate.eps


def denoiser(scheduler, name):
    head = PREDICTIONS[name]
    return NetworkDenoiser(OracleBackbone(scheduler, head), scheduler, head, STD)


X = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(4, 3)
PROCESSES = pytest.mark.parametrize(
    "scheduler", REFERENCE_PROCESSES, ids=[type(s).__name__ for s in REFERENCE_PROCESSES]
)


@PROCESSES
@pytest.mark.parametrize("name", PREDICTIONS)
def test_every_prediction_gives_the_same_estimate(scheduler, name):
    t = 0.5
    expected = GaussianDenoiser(scheduler, std=STD)(X, t)
    found = denoiser(scheduler, name)(X, t)
    assert torch.allclose(found.x0, expected.x0, atol=1e-9)
    assert torch.allclose(found.eps, expected.eps, atol=1e-9)


@PROCESSES
@pytest.mark.parametrize("name", PREDICTIONS)
def test_one_time_for_all_and_one_time_for_each_agree(scheduler, name):
    model = denoiser(scheduler, name)
    together, each = model(X, 0.25), model(X, torch.full((4,), 0.25, dtype=torch.float64))
    assert torch.allclose(together.x0, each.x0, atol=1e-12)
    assert torch.allclose(together.eps, each.eps, atol=1e-12)


def test_the_network_sees_unit_variance_and_is_told_the_level():
    for scheduler in REFERENCE_PROCESSES:
        model = denoiser(scheduler, "edm")
        level = Level(scheduler, torch.tensor(0.75, dtype=torch.float64), STD)
        model(X, 0.75)
        x, label, cond = model.backbone.seen[-1]
        assert torch.allclose(x * level.spread, X, atol=1e-12)
        assert label.dtype == torch.float32
        assert label.tolist() == [750.0] * 4
        assert cond.label is None


@pytest.mark.parametrize(
    "t", [0.3, torch.full((6,), 0.3, dtype=torch.float64)], ids=["one", "each"]
)
def test_a_network_that_sees_x_as_it_is_says_what_the_other_does(t):
    scheduler = ReferenceVP()
    head = PREDICTIONS["flow"]
    scaled = denoiser(scheduler, "flow")

    def unscaled(x, noise_label, cond):
        level = Level(scheduler, noise_label.double() / 1000, STD)
        return scaled.backbone(x / spread(level.spread, x), noise_label, cond)

    as_it_is = NetworkDenoiser(unscaled, scheduler, head, STD, scale_input=False)
    x = torch.linspace(-2, 2, 18, dtype=torch.float64).view(6, 3)
    torch.testing.assert_close(as_it_is(x, t).x0, scaled(x, t).x0)


def test_preparing_beforehand_changes_nothing():
    prepared, fresh = denoiser(ReferenceVP(), "eps"), denoiser(ReferenceVP(), "eps")
    prepared.prepare([0.9, 0.6, 0.3], torch.device("cpu"))
    for t in (0.9, 0.6, 0.3):
        assert torch.equal(prepared(X, t).x0, fresh(X, t).x0)


@pytest.mark.parametrize("output", [torch.zeros(4, 2), None], ids=["wrong shape", "nothing at all"])
@pytest.mark.parametrize("t", [0.5, torch.full((4,), 0.5)], ids=["one time", "a time for each"])
def test_a_network_that_returns_something_else_is_named(output, t):
    model = NetworkDenoiser(lambda *_: output, ReferenceVP(), PREDICTIONS["eps"])
    with pytest.raises(ComponentError, match=r"for an input of shape \(4, 3\)") as caught:
        model(X, t, Condition())
    assert caught.value.kind == "backbone"
