"""From data to noise and back, and the ways between noises."""

import math

import pytest
import torch

from diffx_core import ConfigError, DataSpec, Pipeline, slerp
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import MixtureDenoiser, ReferenceFlow, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun
from diffx_samplers.rk45 import RK45
from diffx_schedulers.ddpm import DDPM

# Within the components of the mixture: between them the way back is ill-conditioned.
X = torch.tensor([[-1.3, -1.0, -0.8], [0.6, 0.8, 1.0]], dtype=torch.float64)
TIGHT = RK45(rtol=1e-8, atol=1e-8)
PROCESSES = pytest.mark.parametrize("process", REFERENCE_PROCESSES, ids=lambda p: type(p).__name__)


def pipeline_of(denoiser, size=3):
    return Pipeline(denoiser, DataSpec((size,)), dtype=torch.float64)


def missed(pipeline, sampler):
    there = pipeline.encode(X, sampler=sampler)
    return float((pipeline.decode(there, sampler=sampler) - X).abs().max())


@PROCESSES
@pytest.mark.parametrize(
    ("sampler", "order"), [(DDIM(grid="flow"), 1), (Heun(grid="flow"), 2)], ids=["ddim", "heun"]
)
def test_what_is_lost_on_the_way_and_back_falls_with_the_order(process, sampler, order):
    """Measured 0.97 to 0.98 and 2.03 to 2.28: straight lines begin where the field is linear."""
    pipeline = pipeline_of(MixtureDenoiser(process))
    errors = [missed(pipeline, pipeline.method(sampler, steps=n)) for n in (80, 160)]
    slope = math.log2(errors[0] / errors[1])
    assert order - 0.15 < slope < order + 0.35


@PROCESSES
def test_steps_to_a_tolerance_lose_nothing(process):
    assert missed(pipeline_of(MixtureDenoiser(process)), TIGHT) < 1e-7


@PROCESSES
def test_the_noise_of_gaussian_data_is_where_the_flow_leads(process):
    denoiser = GaussianDenoiser(process, 0.7, 0.5)
    found = pipeline_of(denoiser).encode(X, sampler=TIGHT)
    ends = torch.tensor([2 * math.log(1e3), -2 * math.log(1e3)], dtype=torch.float64)
    first, last = process.time_of(ends).tolist()  # or the ends of the process, if it has any
    alpha = float(process.alpha(torch.tensor(first, dtype=torch.float64)))
    torch.testing.assert_close(found, denoiser.flow(alpha * X, first, last), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sampler", [DDIM(grid="flow"), Heun(grid="logsnr")], ids=["ddim", "heun"])
def test_a_table_that_ends_without_data_is_left_where_there_are_some(sampler):
    pipeline = pipeline_of(MixtureDenoiser(DDPM(zero_terminal_snr=True)))
    for steps in (200, 984):
        assert missed(pipeline, pipeline.method(sampler, steps=steps)) < 0.05
    with pytest.raises(ConfigError, match=r"985 times at which both .* 984 steps .*, not 985"):
        pipeline.encode(X, sampler=pipeline.method(sampler, steps=985))


def test_a_process_in_discrete_time_is_seen_at_its_own_times():
    denoiser = MixtureDenoiser(DDPM())
    pipeline = pipeline_of(denoiser)
    assert missed(pipeline, Heun(steps=200, grid="logsnr")) < 1e-3
    assert {*denoiser.calls} <= {*DDPM().grid().tolist()}
    with pytest.raises(ConfigError, match="1000 times"):
        pipeline.encode(X, sampler=DDIM(steps=1000))


def test_a_way_that_draws_noise_cannot_be_gone_back():
    pipeline = pipeline_of(GaussianDenoiser(ReferenceVP()))
    for use in (pipeline.encode, pipeline.decode):
        with pytest.raises(ConfigError, match="DDIM draws noise"):
            use(X, sampler=DDIM(eta=1.0))
    with pytest.raises(ConfigError, match="DDIM draws noise"):
        pipeline.interpolate(3, sampler=DDIM(eta=1.0))


def test_what_is_no_data_is_refused():
    pipeline = pipeline_of(GaussianDenoiser(ReferenceVP()))
    with pytest.raises(ConfigError, match=r"needs examples \(n, 3\), got \(2, 4\)"):
        pipeline.encode(torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="between 2 examples, got 3"):
        pipeline.interpolate(4, between=torch.zeros(3, 3))


def test_slerp_keeps_the_norm_and_the_ends():
    a, b = torch.randn(2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    b *= a.norm() / b.norm()
    u = torch.linspace(0, 1, 11, dtype=torch.float64)
    found = slerp(a, b, u)
    torch.testing.assert_close(found[0], a, rtol=0, atol=1e-12)
    torch.testing.assert_close(found[-1], b, rtol=0, atol=1e-12)
    norms = found.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, a.norm().expand(11), rtol=1e-12, atol=0)
    turned = torch.linalg.vecdot(found[:-1].flatten(1), found[1:].flatten(1)) / a.norm() ** 2
    assert float(turned.max() - turned.min()) < 1e-12  # at a constant rate
    torch.testing.assert_close(slerp(a, b, 0.3), found[3], rtol=0, atol=1e-12)


def test_slerp_changes_norms_in_a_straight_line():
    a = torch.tensor([3.0, 0.0], dtype=torch.float64)
    for b in (torch.tensor([0.0, 1.0]).double(), torch.tensor([1.0, 0.0]).double()):
        assert float(slerp(a, b, 0.5).norm()) == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("other", [-2.0, 0.0])
def test_slerp_has_no_arc_to_the_opposite_and_to_zero(other):
    a = torch.tensor([1.0, 2.0], dtype=torch.float64)
    with pytest.raises(ConfigError, match="arc"):
        slerp(a, other * a, 0.5)


@PROCESSES
def test_a_way_leads_from_the_first_to_the_second_sample(process):
    pipeline = pipeline_of(MixtureDenoiser(process))
    way = pipeline.interpolate(5, sampler=DDIM(steps=30), seed=4)
    ends = pipeline.sample(2, sampler=DDIM(steps=30), seed=4)
    torch.testing.assert_close(way[[0, -1]], ends, rtol=0, atol=1e-9)
    assert way.shape == (5, 3)


def test_a_way_leads_from_the_first_sample_of_a_seed_to_that_of_another():
    pipeline = pipeline_of(MixtureDenoiser(ReferenceFlow()))
    way = pipeline.interpolate(3, sampler=DDIM(steps=30), seed=4, last_seed=9)
    ends = [pipeline.sample(1, sampler=DDIM(steps=30), seed=seed) for seed in (4, 9)]
    torch.testing.assert_close(way[[0, -1]], torch.cat(ends), rtol=0, atol=1e-9)


def test_a_way_leads_between_data():
    pipeline = pipeline_of(MixtureDenoiser(ReferenceFlow()))
    way = pipeline.interpolate(3, between=X, sampler=TIGHT)
    torch.testing.assert_close(way[[0, -1]], X, rtol=0, atol=1e-6)


def test_ways_take_as_many_calls_or_steps_as_they_are_told():
    denoiser = MixtureDenoiser(ReferenceVP())
    pipeline = pipeline_of(denoiser)
    ways = {
        "encode": lambda how: pipeline.encode(X, **how),
        "decode": lambda how: pipeline.decode(X, **how),
        "edit": lambda how: pipeline.edit(X, 0.5, **how),
        "interpolate": lambda how: pipeline.interpolate(4, **how),
    }
    for way in ways.values():
        for how, calls in (({"nfe": 9}, 9), ({"steps": 3}, 5)):
            denoiser.calls.clear()
            way({"sampler": "heun", **how})
            assert len(denoiser.calls) == calls
        with pytest.raises(ConfigError, match="the sampler RK45: how often it calls the network"):
            way({"sampler": RK45(), "nfe": 9})
