"""Guidance where a process has no data left, where examples have no contrast, and in parts."""

import pytest
import torch
from attrs import frozen

from diffx_core import (
    DPS,
    PREDICTIONS,
    Autoguidance,
    ClassifierFreeGuidance,
    ClassifierGuidance,
    ComponentError,
    Condition,
    ConfigError,
    DataSpec,
    Mask,
    NetworkDenoiser,
    NoiseSource,
    PiGDM,
    Pipeline,
    PlusPlus,
    Projected,
    Replacement,
    Rescaled,
    sample,
)
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import (
    REFERENCE_PROCESSES,
    MixtureDenoiser,
    ReferenceFlow,
    ReferenceVP,
)
from diffx_samplers.ddim import DDIM
from diffx_samplers.rk45 import RK45
from diffx_schedulers.ddpm import DDPM
from diffx_schedulers.vp import VP

PROCESSES = [*REFERENCE_PROCESSES, DDPM(zero_terminal_snr=True)]
SHAPE = (1, 2, 2)
MASK = Mask(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
Y = MASK(torch.full((3, *SHAPE), 0.4, dtype=torch.float64))


def towards_more(x, t, cond):
    return x.flatten(1).sum(1)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
@pytest.mark.parametrize("kind", ["pigdm", "dps", "classifier"])
def test_slopes_are_followed_from_where_data_are_left(process, kind):
    inner = GaussianDenoiser(process, 0.0, 1.0)
    guided = {
        "pigdm": lambda: PiGDM(inner, operator=MASK, measurement=Y, noise_std=0.3),
        "dps": lambda: DPS(inner, operator=MASK, measurement=Y),
        "classifier": lambda: ClassifierGuidance(inner, log_probability=towards_more),
    }[kind]()
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    plain = sample(DDIM(steps=8), inner, SHAPE, noise=noise)
    drawn = sample(DDIM(steps=8), guided, SHAPE, noise=noise)
    assert drawn.isfinite().all()
    assert float((drawn - plain).abs().max()) > 0.01


def test_two_models_begin_where_both_can_be_read():
    def network(x, label, cond):
        return 0.1 * x

    strong, weak = (
        NetworkDenoiser(network, ReferenceFlow(), PREDICTIONS[one]) for one in ("v", "eps")
    )
    guided = Autoguidance(strong, 2.0, weak=weak)
    assert guided.t_max == weak.t_max < strong.t_max
    drawn = sample(DDIM(steps=5), guided, (2,), noise=NoiseSource(0, range(3)))
    assert drawn.isfinite().all()


@pytest.mark.parametrize("momentum", [-0.5, 0.0])
def test_a_rule_that_remembers_refuses_a_time_for_each_sample(momentum):
    rule = Projected(3.0, momentum=momentum)
    guided = ClassifierFreeGuidance(MixtureDenoiser(VP()), rule)
    cond = Condition(torch.tensor([0, 1, 0]))
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    if momentum:
        with pytest.raises(ConfigError, match=r"Projected.* goes from step to step with all"):
            sample(RK45(), guided, (2,), noise=noise, cond=cond)
    else:
        assert sample(RK45(), guided, (2,), noise=noise, cond=cond).isfinite().all()


def test_plusplus_has_no_ode_to_follow():
    guided = ClassifierFreeGuidance(MixtureDenoiser(VP()), PlusPlus(0.7))
    cond = Condition(torch.tensor([0, 1, 0]))
    with pytest.raises(ConfigError, match=r"PlusPlus\(scale=0.7\) goes from step to step"):
        sample(RK45(), guided, (2,), noise=NoiseSource(0, range(3)), cond=cond)


class Flat:
    """Says the same number everywhere, another one with a label."""

    def __init__(self, process):
        self.inner = GaussianDenoiser(process, 0.0, 1.0)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __call__(self, x, t, cond=None):
        estimate = self.inner(0 * x, t, cond)
        return type(estimate)(x, 0 * x, estimate.decoding._replace(x0_x=0.0))


@pytest.mark.parametrize("rule", [Rescaled(3.0), Projected(3.0)], ids=["rescaled", "projected"])
def test_an_example_without_contrast_stays_finite(rule):
    guided = ClassifierFreeGuidance(Flat(VP()), rule)
    x = torch.randn(3, 4, dtype=torch.float64)
    assert guided(x, 0.5, Condition(torch.zeros(3, dtype=torch.long))).x0.isfinite().all()


def test_guidance_with_noise_of_its_own_is_drawn_at_once():
    pipeline = Pipeline(MixtureDenoiser(VP()), DataSpec(SHAPE), dtype=torch.float64)

    def guidance(inner):
        noise = NoiseSource(1, range(4), dtype=torch.float64)
        return Replacement(inner, mask=MASK, measurement=Y[:1], noise=noise)

    with pytest.raises(
        ConfigError, match="4 samples must be drawn at once, by one process with batch_size=4"
    ):
        pipeline.sample(4, nfe=5, guidance=guidance, batch_size=2)
    assert pipeline.sample(4, nfe=5, guidance=guidance).isfinite().all()


def test_an_edit_takes_no_more_steps_than_a_table_has():
    pipeline = Pipeline(MixtureDenoiser(DDPM()), DataSpec((2,)), dtype=torch.float64)
    x = pipeline.sample(3, nfe=5)
    with pytest.raises(ConfigError, match=r"has \d+ times up to strength 0.02"):
        pipeline.edit(x, 0.02, sampler=DDIM(steps=50))
    assert float((pipeline.edit(x, 0.02, sampler=DDIM(steps=1)) - x).abs().max()) < 0.2


@frozen
class ToFive(ReferenceVP):
    """Drawn to five."""

    def anchor(self, cond):
        return torch.full((1, *SHAPE), 5.0, dtype=torch.float64)


def test_what_is_known_is_known_about_the_anchor():
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    image = torch.full((1, *SHAPE), 5.5, dtype=torch.float64)
    inner = GaussianDenoiser(ToFive(), 0.0, 0.5)
    filled = Replacement(inner, mask=MASK, measurement=image, noise=noise.named("known"))
    drawn = sample(DDIM(steps=20), filled, SHAPE, noise=noise)
    known = MASK.known.expand(3, *SHAPE) == 1
    torch.testing.assert_close(drawn[known], torch.full_like(drawn[known], 5.5))
    pulled = PiGDM(inner, operator=MASK, measurement=MASK(image), noise_std=1e-3, sigma_data=0.5)
    drawn = sample(DDIM(steps=50), pulled, SHAPE, noise=noise)
    assert float((drawn[known] - 5.5).abs().max()) < 0.01


def test_there_is_no_way_to_pure_noise_about_an_anchor():
    pipeline = Pipeline(GaussianDenoiser(ToFive()), DataSpec(SHAPE), dtype=torch.float64)
    x = torch.zeros(2, *SHAPE, dtype=torch.float64)
    for way in (
        lambda: pipeline.edit(x, 0.5),
        lambda: pipeline.encode(x),
        lambda: pipeline.interpolate(3),
        lambda: pipeline.log_likelihood(x),
    ):
        with pytest.raises(ConfigError, match="ToFive is drawn to an anchor"):
            way()


def test_a_density_needs_any_time():
    pipeline = Pipeline(MixtureDenoiser(DDPM()), DataSpec((2,)), dtype=torch.float64)
    with pytest.raises(ConfigError, match="DDPM is in discrete time: a log-likelihood needs"):
        pipeline.log_likelihood(torch.zeros(2, 2))


def test_a_network_that_fails_once_is_blamed_all_the_same():
    calls = []

    def network(x, label, cond):
        calls.append(label)
        return x * (float("nan") if len(calls) == 3 else 0.1)

    denoiser = NetworkDenoiser(network, VP(), PREDICTIONS["v"])
    with pytest.raises(ComponentError, match="did not when it was asked again"):
        sample(DDIM(steps=5), denoiser, (2,), noise=NoiseSource(0, [0]))
