"""Weightings are those of the papers, finite at both ends, and the same for every prediction."""

import itertools
import math
from typing import get_args

import pytest
import torch

from diffx_core import PREDICTIONS, Batch, Condition, ConfigError, Level, NetworkDenoiser, Objective
from diffx_core.objective.ends import Ends
from diffx_core.objective.weighting import WEIGHTINGS, NoiseLevel
from diffx_core.options import ABSOLUTE, LossName, ObjectiveOptions, WeightingName
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP

SIGMA_DATA = 0.6
LEVELS = torch.linspace(-9, 9, 37, dtype=torch.float64)
SNR, K = LEVELS.exp(), (-LEVELS / 2).exp()
ON_EPS = {
    "uniform": torch.ones_like(SNR),
    "snr": 1 + 1 / SNR,
    "truncated_snr": SNR.clamp(min=1) / SNR,
    "min_snr": SNR.clamp(max=5.0) / SNR,
    "p2": 1 / (1 + SNR),
    "edm": (K**2 + SIGMA_DATA**2) / SIGMA_DATA**2,
    "flow": (1 + K) ** 2,
}
"""METHODS 2.2: the weights on the error of eps; 1 / (1 - t)^2 at t = k / (1 + k) for flow."""
PARAMETERS = {"min_snr": {"gamma": 5.0}, "p2": {"gamma": 1.0}, "sigmoid": {"bias": 2.0}}


def weight(name, log_snr=LEVELS, sigma_data=SIGMA_DATA):
    return WEIGHTINGS[name](NoiseLevel(log_snr, sigma_data), **PARAMETERS.get(name, {}))


@pytest.mark.parametrize("name", ON_EPS)
def test_a_weighting_is_the_one_of_the_paper(name):
    # |dx0|^2 + |deps|^2 = (1 + 1 / SNR) |deps|^2
    torch.testing.assert_close(weight(name) * (1 + 1 / SNR), ON_EPS[name], rtol=1e-12, atol=0)


def test_absolute_weightings_are_those_of_the_paper():
    torch.testing.assert_close(weight("sigmoid"), 1 / (1 + (LEVELS - 2).exp()), rtol=1e-12, atol=0)
    assert weight("likelihood").tolist() == [1.0] * len(LEVELS)
    assert {*ON_EPS} | ABSOLUTE == {*get_args(WeightingName)} == {*WEIGHTINGS}


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_weighting_is_finite_at_both_ends(name):
    ends = weight(name, torch.tensor([-math.inf, -700, 700, math.inf], dtype=torch.float64))
    assert ends.isfinite().all()
    assert (ends >= 0).all()


UNBOUNDED_WITHOUT_DATA = {
    (weighting, prediction)
    for weighting in ("snr", "truncated_snr", "edm", "flow", "likelihood", "sigmoid")
    for prediction in ("eps", "score")
}
"""What counts the error of x0 there, which an output without x0 says with an infinite error."""


def on_output(weighting, prediction, scheduler, t, **options):
    """The weight on the square error of the network's output."""
    denoiser = NetworkDenoiser(None, scheduler, PREDICTIONS[prediction], SIGMA_DATA)
    objective = Objective(ObjectiveOptions(weighting=weighting, prediction=prediction, **options))
    plan = objective._plan_for(denoiser)
    level = Level(scheduler, t, SIGMA_DATA)
    ends = Ends(level)
    return plan.weight(ends) * ends.gain(denoiser.prediction.target(level))


@pytest.mark.parametrize(
    ("weighting", "prediction"),
    [("uniform", "eps"), ("uniform", "score"), ("snr", "v"), ("edm", "edm")],
)
def test_the_usual_pairs_are_plain_mean_squares(weighting, prediction, process):
    t = torch.linspace(process.t_min, process.t_max, 41, dtype=torch.float64)
    found = on_output(weighting, prediction, process, t)
    torch.testing.assert_close(found, torch.ones_like(t), rtol=1e-12, atol=0)


def test_flow_matching_on_the_straight_path_is_a_plain_mean_square():
    t = torch.linspace(0, 1, 41, dtype=torch.float64)
    found = on_output("flow", "flow", ReferenceFlow(), t)
    torch.testing.assert_close(found, torch.ones_like(t), rtol=1e-12, atol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_derived_weights_are_finite_at_both_ends(weighting, prediction, process):
    t = torch.tensor([process.t_min, process.t_max], dtype=torch.float64)
    if process.grid() is not None and (weighting, prediction) in UNBOUNDED_WITHOUT_DATA:
        with pytest.raises(ConfigError, match=f"{weighting} has no bound .* {prediction} at t = 1"):
            on_output(weighting, prediction, process, t)
        return
    found = on_output(weighting, prediction, process, t)
    assert found.isfinite().all()
    assert (found > 0).all()


def test_the_likelihood_of_a_process_that_begins_without_noise_is_refused():
    objective = Objective(ObjectiveOptions(weighting="likelihood"))
    with pytest.raises(ConfigError, match="infinite for ReferenceFlow, which begins without noise"):
        objective.check(NetworkDenoiser(None, ReferenceFlow(), PREDICTIONS["v"]))
    objective.check(NetworkDenoiser(None, ReferenceVE(), PREDICTIONS["v"]))


@pytest.mark.parametrize("weighting", sorted(ABSOLUTE))
def test_a_bound_looks_at_every_level_by_default(weighting):
    options = ObjectiveOptions(prediction="flow", weighting=weighting)
    assert options.resolved().times == "uniform"
    assert ObjectiveOptions(prediction="flow").resolved().times == "logit_normal"


class Spoken(torch.nn.Module):
    """A network that means x0 = A x / scale + b, and says it as a prediction wants it."""

    def __init__(self, scheduler, prediction):
        super().__init__()
        source = torch.Generator().manual_seed(1)
        self.a = torch.nn.Parameter(torch.randn(3, 3, dtype=torch.float64, generator=source))
        self.b = torch.nn.Parameter(torch.randn(3, dtype=torch.float64, generator=source))
        self.scheduler, self.prediction, self.t = scheduler, prediction, None

    def forward(self, x, noise_label, cond):
        x0 = torch.tanh(x @ self.a) + self.b
        level = Level(self.scheduler, self.t, SIGMA_DATA)
        eps = (x * level.spread[:, None] - level.alpha[:, None] * x0) / level.sigma[:, None]
        p, q = self.prediction.target(level)
        return p[:, None] * x0 + q[:, None] * eps


def gradient(scheduler, prediction, **options):
    network = Spoken(scheduler, PREDICTIONS[prediction])
    denoiser = NetworkDenoiser(network, scheduler, PREDICTIONS[prediction], SIGMA_DATA)
    objective = Objective(ObjectiveOptions(times="mode", **options))
    source = torch.Generator().manual_seed(0)
    batch = Batch(torch.randn(32, 3, dtype=torch.float64, generator=source), Condition())
    network.t = torch.full((32,), 0.5, dtype=torch.float64)
    with torch.no_grad():
        network.t = objective.terms(denoiser, batch, 5).t
    loss = objective(denoiser, batch, 5)
    return loss.detach(), torch.autograd.grad(loss, [network.a, network.b])


@pytest.mark.parametrize(
    ("weighting", "loss"), list(itertools.product(get_args(WeightingName), get_args(LossName)))
)
@pytest.mark.parametrize(
    "scheduler", [ReferenceVP(), ReferenceVE(), ReferenceFlow()], ids=["vp", "ve", "flow"]
)
def test_the_gradient_is_the_same_whatever_is_predicted(scheduler, weighting, loss):
    """The same network, saying the same thing in other words, learns the same."""
    expected, slopes = gradient(scheduler, "edm", weighting=weighting, loss=loss)
    for prediction in PREDICTIONS:
        value, found = gradient(scheduler, prediction, weighting=weighting, loss=loss)
        torch.testing.assert_close(value, expected, rtol=1e-8, atol=0)
        for one, other in zip(found, slopes, strict=True):
            assert float((one - other).norm() / other.norm()) < 1e-8, prediction
