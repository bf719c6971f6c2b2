"""CADS: a condition that is hidden by noise while x is mostly noise."""

import math

import pytest
import torch
from attrs import field, frozen

from diffx_core import (
    NO_LABEL,
    AnnealedCondition,
    ClassifierFreeGuidance,
    Condition,
    ConfigError,
    NoiseSource,
    sample,
)
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM

B = 4000
NOISE = NoiseSource(0, range(B), "annealing", dtype=torch.float64)
X = torch.zeros(B, 2, dtype=torch.float64)
PROCESSES = pytest.mark.parametrize("process", REFERENCE_PROCESSES, ids=lambda p: type(p).__name__)


@frozen(eq=False)
class Heard(GaussianDenoiser):
    """A denoiser that keeps what it is told."""

    told: list[Condition | None] = field(factory=list)

    def __call__(self, x, t, cond=None):
        self.told.append(cond)
        return super().__call__(x, t)


def annealed(process=None, **options):
    inner = Heard(process or ReferenceVP())
    return inner, AnnealedCondition(inner, noise=NOISE, interval=(0.5, 8.0), **options)


def time_at(process, ratio):
    return float(process.time_of(torch.tensor(-2 * math.log(ratio), dtype=torch.float64)))


@PROCESSES
@pytest.mark.parametrize(("ratio", "kept"), [(0.3, 1), (0.5, 1), (1.0, 0.75), (2.0, 0.5), (9.0, 0)])
def test_a_label_is_hidden_with_the_probability_of_its_noise_level(process, ratio, kept):
    inner, model = annealed(process)
    model(X, time_at(process, ratio), Condition(torch.full((B,), 3)))
    (told,) = inner.told
    assert set(told.label.tolist()) <= {3, NO_LABEL}
    share = float((told.label == 3).double().mean())
    assert share == pytest.approx(kept, abs=4 * math.sqrt(kept * (1 - kept) / B))


@pytest.mark.parametrize(("ratio", "gamma"), [(0.3, 1.0), (1.0, 0.75), (2.0, 0.5), (9.0, 0.0)])
def test_an_image_is_mixed_with_noise_of_its_own(ratio, gamma):
    inner, model = annealed(scale=0.25, restore=0.0)
    image = torch.linspace(-1, 1, 8, dtype=torch.float64).expand(B, 8)
    model(X, time_at(ReferenceVP(), ratio), Condition(image=image))
    away = inner.told[0].image - math.sqrt(gamma) * image
    std = 0.25 * math.sqrt(1 - gamma)
    assert float(away.mean()) == pytest.approx(0, abs=4 * std / math.sqrt(8 * B) + 1e-9)
    assert float(away.std()) == pytest.approx(std, rel=4 / math.sqrt(16 * B), abs=1e-9)


def test_the_contrast_of_an_image_is_set_back():
    inner, model = annealed(scale=2.0, restore=1.0)
    image = torch.linspace(-1, 3, 8, dtype=torch.float64).expand(B, 8)
    model(X, time_at(ReferenceVP(), 2.0), Condition(image=image))
    found = inner.told[0].image
    assert torch.allclose(found.mean(1), image.mean(1), atol=1e-12)
    assert torch.allclose(found.std(1), image.std(1), atol=1e-12)
    assert not torch.allclose(found, image, atol=0.1)


def test_nothing_is_hidden_of_what_was_not_said():
    inner, model = annealed()
    model(X, time_at(ReferenceVP(), 2.0))
    model(X, time_at(ReferenceVP(), 2.0), Condition())
    assert inner.told[0] is None
    assert inner.told[1].given() == {}


def test_every_call_hides_anew_and_every_run_alike():
    inner, model = annealed()
    cond = Condition(torch.zeros(B, dtype=torch.long))
    for _ in range(2):
        sample(DDIM(steps=6), model, (2,), noise=NOISE.named("sample"), cond=cond)
    first, again = inner.told[:6], inner.told[6:]
    assert all(torch.equal(a.label, b.label) for a, b in zip(first, again, strict=True))
    t = time_at(ReferenceVP(), 2.0)
    model(X, t, cond)
    model(X, t, cond)
    assert not torch.equal(inner.told[-1].label, inner.told[-2].label)


def test_what_a_sample_is_told_does_not_depend_on_its_batch():
    inner, model = annealed()
    t, labels = time_at(ReferenceVP(), 2.0), torch.arange(B)
    model(X, t, Condition(labels))
    hidden = [int(k) for k in (inner.told[0].label == NO_LABEL).nonzero()[:2]]
    for k in (*hidden, hidden[0] - 1 if hidden[0] else hidden[1] + 1):
        own = NoiseSource(0, [k], "annealing", dtype=torch.float64)
        AnnealedCondition(inner, noise=own, interval=(0.5, 8.0))(X[:1], t, Condition(labels[[k]]))
        assert int(inner.told[-1].label) == int(inner.told[0].label[k])


def test_it_goes_around_classifier_free_guidance():
    inner, t = Heard(ReferenceVP()), time_at(ReferenceVP(), 2.0)
    cond = Condition(torch.ones(B, dtype=torch.long))
    AnnealedCondition(ClassifierFreeGuidance(inner, 2.0), noise=NOISE, interval=(0.5, 8.0))(
        X, t, cond
    )
    told, untold = inner.told[0].label.chunk(2)
    assert set(told.tolist()) == {1, NO_LABEL}
    assert set(untold.tolist()) == {NO_LABEL}
    inside = ClassifierFreeGuidance(AnnealedCondition(inner, noise=NOISE, interval=(0.5, 8.0)), 2.0)
    with pytest.raises(ConfigError, match="classifier-free guidance must be inside of it"):
        inside(X, t, cond)


@pytest.mark.parametrize("interval", [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf)])
def test_an_interval_without_a_middle_is_refused(interval):
    with pytest.raises(ConfigError, match="0 < low < high"):
        AnnealedCondition(GaussianDenoiser(ReferenceVP()), noise=NOISE, interval=interval)


def test_times_of_their_own_are_refused():
    _, model = annealed()
    with pytest.raises(ConfigError, match="same time"):
        model(X, torch.full((B,), 0.5), Condition(torch.zeros(B, dtype=torch.long)))
