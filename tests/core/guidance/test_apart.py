"""CFG++ inside of other guidance: its two ends do not meet in x, and are kept as they are."""

import pytest
import torch

from diffx_core import (
    DPS,
    Autoguidance,
    ClassifierFreeGuidance,
    ClassifierGuidance,
    Condition,
    Mask,
    NoiseSource,
    PlusPlus,
    Projected,
    Replacement,
    Rescaled,
)
from diffx_core.estimate import from_x0
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser

PROCESSES = pytest.mark.parametrize("process", REFERENCE_PROCESSES, ids=lambda p: type(p).__name__)
X = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
COND, T = Condition(torch.tensor([0, 1, 2, 1])), 0.4


class Told(GaussianDenoiser):
    """A model whose mean is its label, and -1 for those that are told nothing."""

    def __call__(self, x, t, cond=None):
        mean = cond.label[:, None].double() if cond and cond.label is not None else -1.0
        return GaussianDenoiser(self.scheduler, mean)(x, t)


def plusplus(process):
    return ClassifierFreeGuidance(Told(process), PlusPlus(0.7))


def level(process):
    at = torch.tensor(T, dtype=torch.float64)
    return float(process.alpha(at)), float(process.sigma(at))


def ends(denoiser):
    estimate = denoiser(X, T, COND)
    return estimate.x0, estimate.eps


def gap(process, x0, eps):
    alpha, sigma = level(process)
    return alpha * x0 + sigma * eps


@PROCESSES
def test_its_ends_do_not_meet_in_x(process):
    assert float((gap(process, *ends(plusplus(process))) - X).abs().max()) > 0.01


@PROCESSES
@pytest.mark.parametrize("scale", [0.0, 0.5, 2.5])
def test_extrapolation_is_one_of_both_ends(process, scale):
    strong, weak = plusplus(process), GaussianDenoiser(process, 0.1, 0.9)
    pairs = [(strong, weak), (weak, strong), (strong, plusplus(process))]
    for one, other in pairs:
        found = ends(Autoguidance(one, scale, weak=other))
        for end, first, second in zip(found, ends(one), ends(other), strict=True):
            torch.testing.assert_close(end, torch.lerp(second, first, scale), rtol=0, atol=1e-12)


RULES = {
    "rescaled": lambda inner, weak: Autoguidance(inner, Rescaled(3.0), weak=weak),
    "projected": lambda inner, weak: Autoguidance(inner, Projected(3.0), weak=weak),
    "classifier": lambda inner, weak: ClassifierGuidance(
        inner, log_probability=lambda x, t, cond: -x.square().sum(1)
    ),
    "measurement": lambda inner, weak: DPS(
        inner, operator=Mask(torch.tensor([1.0, 0.0, 1.0])), measurement=torch.ones(4, 3)
    ),
}


@PROCESSES
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_what_moves_the_data_moves_the_noise_by_as_much(process, rule):
    inner = plusplus(process)
    before = ends(inner)
    after = ends(rule(inner, GaussianDenoiser(process, 0.1, 0.9)))
    assert float((after[0] - before[0]).abs().max()) > 0.01
    meeting = gap(process, *before)
    torch.testing.assert_close(gap(process, *after), meeting, rtol=0, atol=1e-12)


@PROCESSES
def test_inpainting_changes_only_what_is_known(process):
    known = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    image = torch.full((4, 3), 0.4, dtype=torch.float64)
    filled = Replacement(plusplus(process), mask=Mask(known), measurement=image, noise=noise)
    found, kept = ends(filled), ends(plusplus(process))
    for end, own in zip(found, kept, strict=True):
        torch.testing.assert_close(end[:, 1:], own[:, 1:], rtol=0, atol=1e-12)
    z = noise.normal((3,), 0)
    torch.testing.assert_close(found[0][:, 0], image[:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(found[1][:, 0], z[:, 0], rtol=0, atol=1e-9)


def test_two_models_of_different_x_are_extrapolated_at_both_ends():
    """One of them is inpainted, the other not: each speaks of an x of its own."""
    process = REFERENCE_PROCESSES[0]
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    mask, weak = Mask(torch.tensor([1.0, 0.0, 1.0])), GaussianDenoiser(process, 0.1, 0.9)
    image = torch.full((4, 3), 0.4, dtype=torch.float64)

    def filled():
        inner = GaussianDenoiser(process)
        return Replacement(inner, mask=mask, measurement=image, noise=noise, fill=False)

    found = ends(Autoguidance(filled(), 2.0, weak=weak))
    for end, first, second in zip(found, ends(filled()), ends(weak), strict=True):
        torch.testing.assert_close(end, torch.lerp(second, first, 2.0), rtol=0, atol=1e-12)


@PROCESSES
def test_a_guided_model_of_one_x_still_says_one_output(process):
    """So that a step of a sampler mixes it at once, and a swap reads it without its ends."""
    x = X.clone()
    assert ClassifierFreeGuidance(Told(process), 2.0)(x, T, COND).x is x


def test_halves_and_numbers_alone_remain_what_they_are():
    process = REFERENCE_PROCESSES[0]
    estimate = plusplus(process)(X, T, COND)
    for one in (*estimate.halves(), estimate.detach()):
        assert type(one) is type(estimate) is not type(from_x0(X, X, *level(process)))
