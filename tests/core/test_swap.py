"""A model of one process, sampled under another: the same samples, scaled."""

import itertools
from functools import partial

import pytest
import torch
from attrs import frozen

from diffx_core import (
    PREDICTIONS,
    ClassifierFreeGuidance,
    Condition,
    ConfigError,
    DataSpec,
    NetworkDenoiser,
    NoiseSource,
    Pipeline,
    PlusPlus,
    SwappedProcess,
    sample,
)
from diffx_core.estimate import from_x0
from diffx_core.sampler import Plan
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun

PAIRS = list(itertools.permutations(REFERENCE_PROCESSES, 2))
BOTH = pytest.mark.parametrize(
    ("trained", "other"), PAIRS, ids=["-".join(type(s).__name__ for s in pair) for pair in PAIRS]
)


@BOTH
def test_the_oracle_of_one_process_becomes_that_of_the_other(trained, other):
    swapped, expected = SwappedProcess(GaussianDenoiser(trained), other), GaussianDenoiser(other)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    for t in (0.3, 0.5, swapped.t_max):
        found, wanted = swapped(x, t), expected(x, t)
        assert torch.allclose(found.x0, wanted.x0, rtol=1e-9, atol=1e-9)
        assert torch.allclose(found.eps, wanted.eps, rtol=1e-9, atol=1e-9)


@BOTH
def test_times_for_each_example_are_the_same_as_one_for_all(trained, other):
    swapped = SwappedProcess(GaussianDenoiser(trained), other)
    x = torch.linspace(-3, 3, 4, dtype=torch.float64)[:, None]
    each = swapped(x, torch.full((4,), 0.4, dtype=torch.float64))
    assert torch.allclose(each.x0, swapped(x, 0.4).x0, rtol=1e-12)


def test_sampling_under_the_other_process_changes_nothing_on_the_same_noise_ratios():
    """DDIM is the same map for every process: so is a swapped model under its own grid."""

    def network(x, noise_label, cond):
        return torch.tanh(x) * (noise_label[:, None] / 1000).to(x)

    trained, other = ReferenceVP(), ReferenceFlow()
    model = NetworkDenoiser(network, trained, PREDICTIONS["v"], 0.5)
    levels = torch.linspace(-6, 6, 12, dtype=torch.float64)
    noise = NoiseSource(0, range(5), dtype=torch.float64)
    ends = []
    for denoiser in (model, SwappedProcess(model, other)):
        plan = Plan.of(denoiser.scheduler, denoiser.scheduler.time_of(levels))
        start = noise.normal((3,), -1) * (plan.alpha[0] ** 2 + plan.sigma[0] ** 2) ** 0.5
        ends.append(sample(DDIM(), denoiser, (3,), noise=noise, plan=plan, start=start))
    assert torch.allclose(*ends, atol=1e-7)  # noise labels are float32


def test_a_swapped_model_is_asked_about_no_more_noise_than_it_knows():
    model = NetworkDenoiser(lambda x, label, cond: x, ReferenceVP(), PREDICTIONS["eps"], 0.5)
    swapped = SwappedProcess(model, ReferenceFlow())
    last = torch.tensor([swapped.t_max, model.t_max], dtype=torch.float64)
    assert float(ReferenceFlow().log_snr(last[0])) == pytest.approx(
        float(ReferenceVP().log_snr(last[1])), rel=1e-9
    )


@frozen
class Anchored(ReferenceVP):
    """A process that is drawn to a point."""

    def anchor(self, cond):
        return cond.image


@frozen
class OtherNoise(ReferenceVP):
    """A process without Gaussian noise."""

    def offers(self):
        return frozenset()


@frozen
class Early(ReferenceVP):
    """A process that ends while half of the data are there."""

    t_max = 0.25


@frozen
class Cleaner(ReferenceVE):
    """A process that begins with less noise."""

    def sigma(self, t):
        return 1e-4 * 5e5**t


REFUSED = {
    "anchor": (ReferenceVP(), Anchored(), "their paths lead to other points"),
    "anchored": (Anchored(), ReferenceVP(), "their paths lead to other points"),
    "noise": (OtherNoise(), ReferenceVP(), "their noise has another law"),
    "other noise": (ReferenceVP(), OtherNoise(), "their noise has another law"),
    "early": (ReferenceVP(), Early(), "it ends with 1 times as much data as noise"),
}


@pytest.mark.parametrize(("trained", "other", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_process_that_a_model_does_not_know_is_refused(trained, other, reason):
    pipeline = Pipeline(GaussianDenoiser(trained), DataSpec((3,)))
    message = f"a model of {type(trained).__name__} cannot be sampled under {type(other).__name__}"
    with pytest.raises(ConfigError, match=f"{message}: {reason}"):
        pipeline.under(other)


def test_a_model_that_ends_early_itself_can_be_sampled_as_early():
    pipeline = Pipeline(GaussianDenoiser(Early()), DataSpec((3,)))
    assert pipeline.under(Early()).sample(2, sampler=DDIM(steps=3)).isfinite().all()


def test_less_noise_than_a_model_knows_is_refused_before_it_is_asked():
    model = GaussianDenoiser(ReferenceVE())
    pipeline = Pipeline(model, DataSpec((3,))).under(Cleaner())
    reason = r"Cleaner asks about sigma / alpha = .*, and the model of ReferenceVE knows .* 0.01"
    with pytest.raises(ConfigError, match=reason):
        pipeline.sample(2, sampler=DDIM(steps=10, grid="karras"))
    assert model.calls == []
    assert pipeline.sample(2, sampler=DDIM(steps=10, grid="flow")).isfinite().all()


@BOTH
def test_a_swapped_model_has_the_same_law(trained, other):
    """The flow of Gaussian data, in steps small enough."""
    pipeline = Pipeline(GaussianDenoiser(trained), DataSpec((3,)), dtype=torch.float64)
    sampler = Heun(steps=60, grid="flow")
    x = pipeline.under(other).sample(3, sampler=sampler)
    own = Pipeline(GaussianDenoiser(other), DataSpec((3,)), dtype=torch.float64)
    torch.testing.assert_close(x, own.sample(3, sampler=sampler), rtol=0, atol=1e-2)


def test_guidance_whose_ends_do_not_meet_is_the_same_inside_and_outside():
    """CFG++ has no x of its own: its ends are what every process has in common."""
    guide = partial(ClassifierFreeGuidance, rule=PlusPlus(0.7))
    model, flow = Two(ReferenceVP()), ReferenceFlow()
    cond = Condition(torch.tensor([0, 1, 0]))
    draw = partial(sample, DDIM(steps=9, grid="logsnr"), shape=(2,), cond=cond)
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    inside = draw(SwappedProcess(guide(model), flow), noise=noise)
    outside = draw(guide(SwappedProcess(model, flow)), noise=noise)
    torch.testing.assert_close(inside, outside, rtol=0, atol=1e-12)


class Two(GaussianDenoiser):
    """The mean of the data depends on the label."""

    def __call__(self, x, t, cond=None):
        estimate = super().__call__(x, t, cond)
        if cond is None or cond.label is None:
            return estimate
        alpha, sigma = (getattr(self.scheduler, one)(torch.tensor(t)) for one in ("alpha", "sigma"))
        return from_x0(x, estimate.x0 + 0.3 * cond.label[:, None], float(alpha), float(sigma))
