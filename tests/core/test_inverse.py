"""Inverse problems, where the posterior is known."""

import pytest
import torch

from diffx_core import (
    DPS,
    Blur,
    ClassifierGuidance,
    ConfigError,
    Downsample,
    Grey,
    Mask,
    NoiseSource,
    PiGDM,
    Replacement,
    sample,
)
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.dpmpp import DPMPP

SHAPE = (2, 3, 8, 8)
CHECKED = Mask((torch.arange(64).reshape(8, 8) % 3 > 0).double())
OPERATORS = pytest.mark.parametrize(
    "operator", [CHECKED, Downsample(2), Grey(), Blur(1.5)], ids=lambda o: type(o).__name__
)
PROCESSES = pytest.mark.parametrize("process", REFERENCE_PROCESSES, ids=lambda p: type(p).__name__)


def image(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, dtype=torch.float64, generator=generator)


@OPERATORS
def test_the_adjoint_is_the_adjoint(operator):
    x, y = image(0), operator(image(1))
    assert torch.allclose((operator(x) * y).sum(), (x * operator.adjoint(y)).sum(), rtol=1e-12)


@OPERATORS
def test_solving_undoes_the_operator_and_the_noise(operator):
    y = operator(image(1))
    u = operator.solve(y, 0.7, 0.2)
    assert torch.allclose(0.7 * operator(operator.adjoint(u)) + 0.2 * u, y, atol=1e-12)


@OPERATORS
@PROCESSES
@pytest.mark.parametrize("noise_std", [0.3, 1.0])
def test_pigdm_is_the_exact_posterior_mean_of_gaussian_data(operator, process, noise_std):
    """x0 ~ N(0, 1): given x it is N(D, r^2), and given y as well its mean is D + r^2 A^T (...)."""
    x, y = image(0), operator(image(1))
    prior = GaussianDenoiser(process, mean=0.0, std=1.0)
    found = PiGDM(prior, operator=operator, measurement=y, noise_std=noise_std)(x, 0.4).x0
    at = torch.tensor(0.4, dtype=torch.float64)
    alpha, sigma = float(process.alpha(at)), float(process.sigma(at))
    x0, r2 = prior(x, 0.4).x0, sigma**2 / (alpha**2 + sigma**2)
    exact = x0 + r2 * operator.adjoint(operator.solve(y - operator(x0), r2, noise_std**2))
    assert torch.allclose(found, exact, atol=1e-10)


def test_samples_of_pigdm_have_the_posterior_law():
    """One measured pixel of two; measured with noise s: N(y / (1 + s^2), s^2 / (1 + s^2))."""
    known, s = Mask(torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)), 0.5
    y = torch.full((1, 1, 2), 0.8, dtype=torch.float64)
    prior = GaussianDenoiser(ReferenceVP(), mean=0.0, std=1.0)
    model = PiGDM(prior, operator=known, measurement=y, noise_std=s)
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    found = sample(DPMPP(order=2, steps=2000), model, (1, 1, 2), noise=noise)
    start = noise.normal((1, 1, 2), -1) * prior.scheduler.prior_std()
    measured = GaussianDenoiser(ReferenceVP(), 0.8 / (1 + s**2), s / (1 + s**2) ** 0.5)
    for column, law in ((0, measured), (1, prior)):
        exact = law.flow(start, 1.0, 1e-5)[..., column]
        # Sampling ends by returning the expected data, sigma(t_1) away from the end of the flow.
        assert torch.allclose(found[..., column], exact, atol=2e-3)


@OPERATORS
def test_dps_reduces_the_misfit(operator):
    x, y = image(0), operator(image(1))
    prior = GaussianDenoiser(ReferenceVP(), mean=0.0, std=1.0)
    model = DPS(prior, operator=operator, measurement=y, step=1.0)
    before, after = ((operator(d(x, 0.4).x0) - y).square().sum() for d in (prior, model))
    assert after < before


def test_the_gradient_of_guidance_is_found_under_no_grad():
    prior = GaussianDenoiser(ReferenceVP(), mean=0.0, std=1.0)
    y = CHECKED(image(1))
    with torch.no_grad():
        found = PiGDM(prior, operator=CHECKED, measurement=y, noise_std=0.1)(image(0), 0.4).x0
    assert not found.requires_grad
    assert not torch.equal(found, prior(image(0), 0.4).x0)


def test_replacement_meets_what_is_known():
    prior = GaussianDenoiser(ReferenceVP(), mean=0.0, std=1.0)
    noise = NoiseSource(0, range(2), dtype=torch.float64)
    y = image(1)
    model = Replacement(prior, mask=CHECKED, measurement=y, noise=noise.named("replacement"))
    found = sample(DDIM(steps=10), model, SHAPE[1:], noise=noise)
    assert torch.allclose(CHECKED(found), CHECKED(y), atol=1e-12)
    free = sample(DDIM(steps=10), prior, SHAPE[1:], noise=noise)
    assert torch.allclose(found - CHECKED(found), free - CHECKED(free), atol=1e-12)


def test_classifier_guidance_is_bayes_rule():
    """p(c | x_t) = N(c; w x_t, 1): the gradient of its logarithm is added to the score."""

    def log_probability(x, t, cond):
        return -(1.5 - 0.5 * x).square().flatten(1).sum(1) / 2

    process, x = ReferenceVP(), image(0)
    prior = GaussianDenoiser(process, mean=0.0, std=1.0)
    guided = ClassifierGuidance(prior, log_probability=log_probability, scale=2.0)
    sigma = float(process.sigma(torch.tensor(0.4, dtype=torch.float64)))
    found = -guided(x, 0.4).eps / sigma
    expected = -prior(x, 0.4).eps / sigma + 2.0 * (1.5 - 0.5 * x) * 0.5
    assert torch.allclose(found, expected, atol=1e-12)


def test_a_mask_is_zero_or_one():
    with pytest.raises(ConfigError, match="mask"):
        Mask(torch.tensor([0.0, 0.5]))
