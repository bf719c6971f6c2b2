"""How probable a model finds data, through a pipeline, and the bits that levels take."""

import math

import pytest
import torch

from diffx_core import ConfigError, DataSpec, Likelihood, LogLikelihood, Pipeline
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import MixtureDenoiser, ReferenceFlow, ReferenceVP
from diffx_datasets.digits import Digits
from diffx_schedulers.ve import VE
from diffx_schedulers.vp import VP, SubVP

X = torch.tensor([[-1.3, -1.0, -0.8], [0.6, 0.8, 1.0], [0.7, -0.9, 1.1]], dtype=torch.float64)
EXACT = Likelihood(steps=200, trace="exact")


def pipeline_of(denoiser, **facts):
    return Pipeline(denoiser, DataSpec((3,), **facts), dtype=torch.float64)


def total(process, denoiser=MixtureDenoiser):
    """Log-likelihood with the process's own law at its last time in place of the prior.

    It is nearly normal there, so that its mean and variance are enough.
    """
    model = denoiser(process)
    found = pipeline_of(model).log_likelihood(X, method=EXACT)
    t = torch.tensor(process.t_max, dtype=torch.float64)
    alpha, sigma = process.alpha(t), process.sigma(t)
    weights, means, stds = (torch.tensor(one).double() for one in MIXTURE)
    mean = (weights * means).sum()
    variance = (weights * (stds**2 + means**2)).sum() - mean**2
    own = torch.distributions.Normal(alpha * mean, (alpha**2 * variance + sigma**2).sqrt())
    prior = torch.distributions.Normal(torch.zeros_like(sigma), sigma)
    return found.total + (own.log_prob(found.latent) - prior.log_prob(found.latent)).sum(1)


MIXTURE = (0.4, 0.6), (-1.0, 0.8), (0.25, 0.15)


def density():
    weights, means, stds = (torch.tensor(one).double() for one in MIXTURE)
    parts = torch.distributions.Normal(means, stds).log_prob(X[..., None]) + weights.log()
    return parts.logsumexp(-1).sum(1)


@pytest.mark.parametrize(
    "process",
    [VP(), SubVP(), VE(sigma_min=1e-3), ReferenceFlow()],
    ids=lambda process: type(process).__name__,
)
def test_the_likelihood_is_that_of_the_data_under_every_process(process):
    torch.testing.assert_close(total(process), density(), rtol=0, atol=1e-4)


def test_batches_change_nothing():
    pipeline = pipeline_of(GaussianDenoiser(ReferenceVP()))
    whole = pipeline.log_likelihood(X, method=Likelihood(steps=4))
    parts = pipeline.log_likelihood(X, method=Likelihood(steps=4), batch_size=2)
    for one, other in zip(whole[:3], parts[:3], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_number_of_network_calls_is_fixed():
    denoiser = GaussianDenoiser(ReferenceVP())
    method = Likelihood(steps=7)
    pipeline_of(denoiser).log_likelihood(X, method=method)
    assert len(denoiser.calls) == method.nfe == 28


class UniformDensity(Likelihood):
    """The density of values that are equally likely in all cells, whatever the model says."""

    def __call__(self, denoiser, x, noise, cond=None):
        volume = torch.full((len(x),), SIZE * math.log(WIDTH[0]), dtype=torch.float64)
        SEEN.append(x)
        return LogLikelihood(-volume, volume, x, SIZE)


SIZE, WIDTH, SEEN = 3, [0.0], []


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (0.0, 1.0)])
def test_uniform_bytes_under_the_uniform_density_take_eight_bits(bounds):
    low, high = bounds
    cell = (high - low) / 255
    WIDTH[0] = high - low + cell
    pipeline = pipeline_of(GaussianDenoiser(ReferenceVP()), value_range=bounds, levels=256)
    values = torch.randint(256, (500, 3), generator=torch.Generator().manual_seed(0))
    x = low + cell * values.double()
    bits = pipeline.bits_per_dim(x, method=UniformDensity())
    torch.testing.assert_close(bits, torch.full_like(bits, 8.0), rtol=0, atol=1e-9)
    moved = (torch.cat([SEEN.pop(0) for _ in range(len(SEEN))]) - x) / cell
    assert float(moved.abs().max()) <= 0.5 + 1e-9
    # Uniform: variance 1/12 with a standard error of sqrt(1/180/1500).
    assert abs(float(moved.var()) - 1 / 12) < 4 * math.sqrt(1 / 180 / 1500)


def test_data_without_levels_take_no_bits():
    with pytest.raises(ConfigError, match="do not come in levels"):
        pipeline_of(GaussianDenoiser(ReferenceVP())).bits_per_dim(X)


@pytest.mark.parametrize(("size", "levels"), [(8, 17), (16, None)])
def test_digits_have_levels_as_they_are_and_none_when_they_are_resized(size, levels):
    data = Digits(size=size)
    assert data.spec.levels == levels
    if levels is not None:
        steps = (data.batch(torch.arange(50)).x + 1) / data.spec.cell
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("facts", [{"levels": 1, "value_range": (0, 1)}, {"levels": 256}])
def test_levels_that_mean_nothing_are_refused(facts):
    with pytest.raises(ConfigError, match="levels"):
        DataSpec((3,), **facts)
