"""Inverse problems, where the posterior is known."""

import math

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
    Plan,
    Replacement,
    sample,
)
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.dpmpp import DPMPP
from diffx_samplers.heun import Heun

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


@PROCESSES
def test_the_ode_of_pigdm_is_the_transport_to_the_posterior(process):
    """Between two noise levels, to the accuracy of the method: no law, every sample is met."""
    known, s, y = Mask(torch.tensor([1.0, 0.0], dtype=torch.float64)), 0.5, 0.8
    prior = GaussianDenoiser(process, mean=0.0, std=1.0)
    model = PiGDM(prior, operator=known, measurement=torch.tensor([y, 0.0]).double(), noise_std=s)
    levels = -2 * torch.linspace(math.log(5), math.log(0.05), 801, dtype=torch.float64)
    plan = Plan.of(process, process.time_of(levels), clean=False)
    noise = NoiseSource(0, range(16), dtype=torch.float64)
    start = noise.normal((2,), 7) * plan.sigma[0]
    found = sample(Heun(), model, (2,), noise=noise, plan=plan, start=start)
    measured = GaussianDenoiser(process, y / (1 + s**2), s / (1 + s**2) ** 0.5)
    for column, law in ((0, measured), (1, prior)):
        exact = law.flow(start, plan.times[0], plan.times[-1])[:, column]
        assert torch.allclose(found[:, column], exact, atol=1e-5 * plan.alpha[-1])


@OPERATORS
@PROCESSES
def test_dps_goes_a_step_towards_the_measurement(operator, process):
    """For x0 ~ N(0, 1) the slope of D is known: D + step r^2 A^T u, u of the misfit's direction."""
    x, y = image(0), operator(image(1))
    prior = GaussianDenoiser(process, mean=0.0, std=1.0)
    found = DPS(prior, operator=operator, measurement=y, step=0.7)(x, 0.4).x0
    at = torch.tensor(0.4, dtype=torch.float64)
    alpha, sigma = float(process.alpha(at)), float(process.sigma(at))
    x0, r2 = prior(x, 0.4).x0, sigma**2 / (alpha**2 + sigma**2)
    missing = y - operator(x0)
    towards = missing / missing.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    assert torch.allclose(found, x0 + 0.7 * r2 * operator.adjoint(towards), atol=1e-10)


def test_samples_of_dps_meet_the_measurement_and_leave_the_rest():
    """With enough of a pull; the pixel that was not measured is untouched."""
    operator = Mask(torch.tensor([[[1.0, 0.0]]], dtype=torch.float64))
    prior = GaussianDenoiser(ReferenceVP(), mean=0.0, std=1.0)
    y = torch.full((1, 1, 2), 0.8, dtype=torch.float64)
    model = DPS(prior, operator=operator, measurement=operator(y), step=4.0)
    noise = NoiseSource(0, range(16), dtype=torch.float64)
    sampler = DDIM(steps=400, grid="logsnr")
    found, free = (sample(sampler, one, (1, 1, 2), noise=noise) for one in (model, prior))
    assert torch.allclose(found[..., 1], free[..., 1], atol=1e-10)
    assert float((found[..., 0] - 0.8).abs().max()) < 0.1
    assert float((free[..., 0] - 0.8).abs().max()) > 1


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


def test_noise_for_another_batch_is_refused():
    """Which is what happens inside of classifier-free guidance, that doubles the batch."""
    prior = GaussianDenoiser(ReferenceVP(), mean=0.0, std=1.0)
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    model = Replacement(prior, mask=CHECKED, measurement=image(1), noise=noise)
    with pytest.raises(ConfigError, match="is for 3 samples and the batch has 2"):
        model(image(0), 0.5)


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
