"""What is learned depends on weighting, process and times through one function of the log-SNR.

The network is off by a known function h of the log-SNR and by nothing else, so that the loss of an
example has no randomness left, and the mean over evenly spread quantiles is a quadrature. As h
vanishes with all its derivatives at both ends, its error falls faster than any power.
"""

import math

import pytest
import torch

from diffx_core import PREDICTIONS, Batch, Level, NetworkDenoiser, Objective
from diffx_core.objective.weighting import WEIGHTINGS
from diffx_core.options import ABSOLUTE, ObjectiveOptions
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP

N = 4096
LEVELS = torch.linspace(-9, 9, 4001, dtype=torch.float64)
TIMES = ["uniform", "logit_normal", "log_normal_sigma", "mode"]
PROCESSES = pytest.mark.parametrize(
    "scheduler", [ReferenceVP(), ReferenceVE(), ReferenceFlow()], ids=["vp", "ve", "flow"]
)


def h(log_snr):
    """The error of eps."""
    return 0.7 * torch.exp(-((log_snr - 1) ** 2) / 1.5)


class Off(torch.nn.Module):
    """A network that says the truth about x0 = 0, but for an error h of eps."""

    def __init__(self, scheduler, prediction):
        super().__init__()
        self.scheduler, self.prediction = scheduler, prediction
        self.t = None

    def forward(self, x, noise_label, cond):
        if self.t is None:
            return torch.zeros_like(x)
        level = Level(self.scheduler, self.t, 1.0)
        _, q = self.prediction.target(level)
        eps = x * (level.spread / level.sigma)[:, None]
        error = h(self.scheduler.log_snr(self.t)) / self.prediction.decode(level).eps_f
        return q[:, None] * eps + error[:, None]


def measured(scheduler, prediction="v", **options):
    """The mean loss over evenly spread quantiles."""
    network = Off(scheduler, PREDICTIONS[prediction])
    denoiser = NetworkDenoiser(network, scheduler, PREDICTIONS[prediction])
    objective = Objective(ObjectiveOptions(prediction=prediction, **options)).eval()
    batch = Batch(torch.zeros(N, 2, dtype=torch.float64))
    network.t = objective.terms(denoiser, batch, 0).t
    return float(objective.terms(denoiser, batch, 0).loss.mean())


def integral(values):
    """The integral over the log-SNR, of a function that vanishes at both ends."""
    return float(torch.trapezoid(values, LEVELS))


@PROCESSES
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("weighting", sorted(ABSOLUTE))
def test_an_absolute_weighting_is_one_loss_for_all_processes_and_times(scheduler, times, weighting):
    w = {"likelihood": torch.ones_like(LEVELS), "sigmoid": (2 - LEVELS).sigmoid()}[weighting]
    expected = {
        "l2": (integral(w / 2 * h(LEVELS) ** 2), 1e-7),
        "l1": (integral((w / 2).sqrt() * h(LEVELS)), 1e-5),  # reaches twice as far as its square
    }
    for loss, (value, tolerance) in expected.items():
        found = measured(scheduler, weighting=weighting, times=times, loss=loss)
        assert found == pytest.approx(value, rel=tolerance), loss


@PROCESSES
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_effective_weight_says_what_the_loss_is(scheduler, times, weighting):
    """Loss = 1/2 integral of W |deps|^2."""
    objective = Objective(ObjectiveOptions(prediction="v", weighting=weighting, times=times))
    w = objective.effective_weight(scheduler, 1.0, scheduler.time_of(LEVELS))
    expected = integral(w / 2 * h(LEVELS) ** 2)
    found = measured(scheduler, weighting=weighting, times=times)
    assert found == pytest.approx(expected, rel=1e-6)


@PROCESSES
@pytest.mark.parametrize("times", TIMES)
def test_the_effective_weight_is_the_weight_on_eps_times_the_density_of_the_log_snr(
    scheduler, times
):
    objective = Objective(ObjectiveOptions(prediction="v", weighting="snr", times=times))
    levels = LEVELS[LEVELS.abs() < 7.8]  # those that every process has
    t = scheduler.time_of(levels)
    on_eps = 1 + (-levels).exp()
    density = objective.density(scheduler, 1.0).log_prob(t).exp() / -scheduler.log_snr_rate(t)
    torch.testing.assert_close(
        objective.effective_weight(scheduler, 1.0, t), 2 * on_eps * density, rtol=1e-6, atol=0
    )


@PROCESSES
@pytest.mark.parametrize("weighting", sorted({*WEIGHTINGS} - ABSOLUTE))
@pytest.mark.parametrize("base", ["uniform", "mode"])
def test_times_that_follow_the_loss_are_about_their_base(scheduler, weighting, base):
    plain = Objective(ObjectiveOptions(weighting=weighting, times=base))
    following = Objective(ObjectiveOptions(weighting=weighting, times="adaptive", times_base=base))
    t = scheduler.time_of(LEVELS)
    assert torch.equal(
        plain.effective_weight(scheduler, 1.0, t), following.effective_weight(scheduler, 1.0, t)
    )


@PROCESSES
def test_any_density_estimates_the_loss_of_any_other_by_their_ratio(scheduler):
    """E_p[q/p w L] = E_q[w L]: by quadrature in z, u = Phi(z), of smooth functions."""
    z = torch.linspace(-8, 8, 6001, dtype=torch.float64)
    u = torch.special.ndtr(z)
    du = (-(z**2) / 2).exp() / math.sqrt(2 * math.pi)
    densities = {
        times: Objective(ObjectiveOptions(times=times)).density(scheduler, 1.0) for times in TIMES
    }
    found = {}
    for sampled, p in densities.items():
        t = p.quantile(u)
        loss = h(scheduler.log_snr(t)) ** 2
        for wanted, q in densities.items():
            ratio = (q.log_prob(t) - p.log_prob(t)).exp()
            weighted = torch.where(loss > 0, ratio * loss, 0.0)
            found[sampled, wanted] = float(torch.trapezoid(weighted * du, z))
    for (_, wanted), value in found.items():
        assert value == pytest.approx(found[wanted, wanted], rel=1e-6)
