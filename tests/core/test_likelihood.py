"""Log-likelihoods of data whose density is known."""

import math

import pytest
import torch
from attrs import frozen

from diffx_core import ConfigError, Likelihood, NoiseSource
from diffx_core.estimate import from_x0
from diffx_core.likelihood import LogLikelihood, offset
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP

PROCESSES = pytest.mark.parametrize("process", REFERENCE_PROCESSES, ids=lambda p: type(p).__name__)


@frozen
class LateVE(ReferenceVE):
    """Variance exploding from 1/1000."""

    def sigma(self, t):
        return 1e-3 * 5e4**t


X = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3)


def noise_of(count):
    return NoiseSource(0, range(count), dtype=torch.float64)


def exact(x, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(x).flatten(1).sum(1)


def true_end(denoiser, found, process):
    """log p_T of the process itself, which is Gaussian, minus that of the prior."""
    t = torch.tensor(process.t_max, dtype=torch.float64)
    mean = process.alpha(t) * denoiser.mean
    own = exact(found.latent, mean, denoiser.variance(t).sqrt())
    return own - exact(found.latent, torch.zeros_like(mean), process.sigma(t))


@PROCESSES
@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_gaussian_data_have_their_density(process, trace):
    """The Jacobian is diagonal, so random signs are exact as well.

    Straight lines begin at sigma / alpha = 1/1000, where the data have variance S^2 + 1e-6.
    """
    denoiser = GaussianDenoiser(process, 0.7, 0.5)
    found = Likelihood(steps=200, trace=trace)(denoiser, X, noise_of(4))
    start = max(process.t_min, float(process.time_of(torch.tensor(2 * math.log(1e3)).double())))
    at = torch.tensor(start, dtype=torch.float64)
    law = exact(X, 0.7, denoiser.variance(at).sqrt() / process.alpha(at))
    ended = found.total + true_end(denoiser, found, process)
    assert torch.allclose(ended, law, atol=1e-5)


def test_the_likelihood_does_not_depend_on_the_process():
    """Processes that begin at sigma / alpha = 1/1000."""
    totals = []
    for process in (ReferenceVP(), ReferenceFlow(), LateVE()):
        denoiser = GaussianDenoiser(process, 0.7, 0.5)
        found = Likelihood(steps=200, trace="exact")(denoiser, X, noise_of(4))
        totals.append(found.total + true_end(denoiser, found, process))
    for other in totals[1:]:
        assert torch.allclose(other, totals[0], atol=1e-4)


def test_the_error_falls_with_the_fourth_power_of_the_step():
    denoiser = GaussianDenoiser(ReferenceVP(), 0.7, 0.5)
    fine = Likelihood(steps=800, trace="exact")(denoiser, X, noise_of(4)).total
    errors = [
        float(
            (Likelihood(steps=n, trace="exact")(denoiser, X, noise_of(4)).total - fine).abs().max()
        )
        for n in (25, 50)
    ]
    assert math.log2(errors[0] / errors[1]) > 3.5


def test_hutchinson_is_unbiased():
    """A denoiser whose Jacobian is not diagonal: rotated Gaussian data."""

    class Rotated(GaussianDenoiser):
        def __call__(self, x, t, cond=None):
            c, s = math.cos(0.6), math.sin(0.6)
            turn = torch.tensor([[c, -s], [s, c]], dtype=x.dtype)
            level = torch.tensor(t, dtype=torch.float64)
            alpha, sigma = float(self.scheduler.alpha(level)), float(self.scheduler.sigma(level))
            variance = torch.tensor([0.04, 1.0], dtype=x.dtype)
            gain = alpha * variance / (alpha**2 * variance + sigma**2)
            return from_x0(x, (x @ turn * gain) @ turn.T, alpha, sigma)

    denoiser, count = Rotated(ReferenceVP()), 4000
    x = torch.tensor([[0.3, -0.4]], dtype=torch.float64).expand(count, 2)
    found = Likelihood(steps=10)(denoiser, x, noise_of(count)).total
    wanted = Likelihood(steps=10, trace="exact")(denoiser, x[:1], noise_of(1)).total
    error = float(found.std()) / math.sqrt(count)
    assert error > 1e-4  # the estimate is random at all
    assert abs(float(found.mean() - wanted)) < 4 * error


def test_the_cost_of_the_prior_is_the_divergence_at_the_last_time():
    process = ReferenceVP()
    found = Likelihood(steps=5)(GaussianDenoiser(process, 0.0, 1.0), X, noise_of(4))
    t = torch.tensor(1.0, dtype=torch.float64)
    kappa = float(process.sigma(t) / process.alpha(t))
    assert torch.allclose(found.prior, X.square().sum(1) / 2 / kappa**2, rtol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
def test_uniform_bytes_under_the_uniform_density_take_eight_bits(low, high):
    density = torch.full((1,), -3 * math.log(high - low), dtype=torch.float64)
    found = LogLikelihood(density, density, density, 3)
    assert float(found.bits_per_dim(offset((low, high), levels=256))) == pytest.approx(8, abs=1e-12)


def test_an_exact_trace_of_many_dimensions_is_refused():
    with pytest.raises(ConfigError, match="hutchinson"):
        Likelihood(trace="exact")(
            GaussianDenoiser(ReferenceVP()), torch.zeros(1, 3, 8, 8), noise_of(1)
        )
