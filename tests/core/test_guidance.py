"""Classifier-free guidance, on a class-conditional problem with a known answer."""

import pytest
import torch
from attrs import define, field

from diffx_core import PREDICTIONS, ClassifierFreeGuidance, Condition, NetworkDenoiser, NoiseSource
from diffx_core import sample as draw
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM

X = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
LABELS = torch.tensor([0, 1, 2, 1])


@define(eq=False)
class ByClass:
    """A denoiser whose data mean is the label, and -1 for those that are told nothing."""

    scheduler: ReferenceVP = field(factory=ReferenceVP)
    t_min: float = 1e-5
    t_max: float = 1.0
    calls: int = 0

    def prepare(self, times, device):
        pass

    def __call__(self, x, t, cond=None):
        self.calls += 1
        label = torch.full((len(x),), -1) if cond is None or cond.label is None else cond.label
        return GaussianDenoiser(self.scheduler, mean=label[:, None].double())(x, t)


@pytest.mark.parametrize("t", [0.5, torch.full((4,), 0.5)], ids=["one time", "a time for each"])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_guidance_extrapolates_from_untold_to_told(scale, t):
    told = ByClass()(X, t, Condition(LABELS))
    untold = ByClass()(X, t)
    guided = ClassifierFreeGuidance(ByClass(), scale)(X, t, Condition(LABELS))
    for end in ("x0", "eps"):
        low, high = getattr(untold, end), getattr(told, end)
        assert torch.allclose(getattr(guided, end), low + scale * (high - low), atol=1e-12)


@pytest.mark.parametrize(("scale", "told"), [(1.0, LABELS), (0.0, torch.full((4,), -1))])
def test_scales_one_and_zero_are_the_model_itself(scale, told):
    guided = ClassifierFreeGuidance(ByClass(), scale)(X, 0.5, Condition(LABELS))
    assert torch.equal(guided.x0, ByClass()(X, 0.5, Condition(told)).x0)


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.0])
def test_guidance_costs_one_call_a_step(scale):
    inner = ByClass()
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    guided = ClassifierFreeGuidance(inner, scale)
    draw(DDIM(steps=5), guided, (2,), noise=noise, cond=Condition(LABELS))
    assert inner.calls == 5


def test_guiding_a_network_is_guiding_its_output():
    def network(x, noise_label, cond):
        return x * noise_label[:, None] / 1000 + cond.label[:, None]

    for name in PREDICTIONS:
        model = NetworkDenoiser(network, ReferenceVP(), PREDICTIONS[name])
        guided = ClassifierFreeGuidance(model, 2.0)(X, 0.5, Condition(LABELS))
        told, untold = (model(X, 0.5, Condition(c)) for c in (LABELS, torch.full((4,), -1)))
        assert torch.allclose(guided.x0, 2 * told.x0 - untold.x0, atol=1e-12)


def test_an_unconditional_call_is_passed_on():
    inner = ByClass()
    assert torch.equal(ClassifierFreeGuidance(inner, 5.0)(X, 0.5).x0, inner(X, 0.5).x0)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_guidance_is_the_same_in_every_space(name):
    """What is guided may be called x0, eps, v, velocity or score: each is a mix of both ends."""

    def network(x, noise_label, cond):
        return x * noise_label[:, None] / 1000 + cond.label[:, None]

    process, t = ReferenceVP(), torch.tensor(0.5, dtype=torch.float64)
    model = NetworkDenoiser(network, process, PREDICTIONS[name])
    told, untold = (model(X, 0.5, Condition(c)) for c in (LABELS, torch.full((4,), -1)))
    guided = ClassifierFreeGuidance(model, 2.5)(X, 0.5, Condition(LABELS))
    alpha, sigma = float(process.alpha(t)), float(process.sigma(t))
    rates = float(process.alpha_rate(t)), float(process.sigma_rate(t))
    for space in ((1.0, 0.0), (0.0, 1.0), (-sigma, alpha), rates, (0.0, -1 / sigma)):
        wanted = 2.5 * told.mix(*space) - 1.5 * untold.mix(*space)
        torch.testing.assert_close(guided.mix(*space), wanted, rtol=1e-10, atol=1e-10)
