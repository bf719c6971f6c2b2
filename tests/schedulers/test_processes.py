"""The noise processes obey every law, and are the ones of the literature to ten digits."""

import math

import pytest
import torch

from diffx_core import ConfigError, Scheduler
from diffx_core.testing import SchedulerSuite
from diffx_schedulers.rectified_flow import RectifiedFlow
from diffx_schedulers.ve import VE
from diffx_schedulers.vp import VP


class TestVP(SchedulerSuite):
    def component(self) -> Scheduler:
        return VP()


class TestConstantVP(SchedulerSuite):
    def component(self) -> Scheduler:
        return VP(beta_min=8.0, beta_max=8.0)


class TestVE(SchedulerSuite):
    def component(self) -> Scheduler:
        return VE()


class TestNarrowVE(SchedulerSuite):
    def component(self) -> Scheduler:
        return VE(sigma_min=0.002, sigma_max=80.0)


class TestRectifiedFlow(SchedulerSuite):
    def component(self) -> Scheduler:
        return RectifiedFlow()


def at(value):
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize(
    ("t", "quantity", "golden"),
    [
        (0.5, "alpha", 0.2811828807967524),
        (0.5, "sigma", 0.9596542020680363),
        (0.5, "kappa", 3.41291830906912),
        (1.0, "alpha", 0.006571586494929619),
        (1.0, "kappa", 152.1669702839464),
        (1e-3, "kappa", 0.010485992786702987),
    ],
)
def test_vp_golden_values(t, quantity, golden):
    alpha, sigma = float(VP().alpha(at(t))), float(VP().sigma(at(t)))
    found = {"alpha": alpha, "sigma": sigma, "kappa": sigma / alpha}[quantity]
    assert found == pytest.approx(golden, rel=1e-9)


def test_vp_is_the_sde_of_the_literature():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    beta = 0.1 + 19.9 * t
    assert torch.allclose(VP().drift(t), -beta / 2, rtol=1e-15)
    assert torch.allclose(VP().diffusion(t), beta.sqrt(), rtol=1e-15)
    assert float(VP().integral(at(1.0))) == pytest.approx(10.05, rel=1e-15)


def test_ve_starts_at_its_smallest_noise_and_ends_at_its_largest():
    ends = VE(sigma_min=0.02, sigma_max=100.0).sigma(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert ends.tolist() == pytest.approx([0.02, 100.0], rel=1e-14)


def test_ve_diffusion_is_geometric():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    expected = 0.01 * 5000**t * math.sqrt(2 * math.log(5000))
    assert torch.allclose(VE().diffusion(t), expected, rtol=1e-13)


def test_rectified_flow_has_no_data_at_one_end_and_no_noise_at_the_other():
    process = RectifiedFlow()
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert process.alpha(ends).tolist() == [1.0, 0.0]
    assert process.sigma(ends).tolist() == [0.0, 1.0]
    assert process.log_snr(ends).tolist() == [math.inf, -math.inf]
    assert process.time_of(at([math.inf, -math.inf])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: VP(beta_min=21.0), r"beta_min \(21\) must not exceed beta_max \(20\)"),
        (lambda: VP(beta_min=0.0), "'beta_min' must be > 0"),
        (lambda: VE(sigma_min=60.0), r"sigma_min \(60\) must be below sigma_max \(50\)"),
        (lambda: VE(sigma_min=-1.0), "'sigma_min' must be > 0"),
    ],
)
def test_options_that_make_no_process_are_refused_by_name(build, named):
    with pytest.raises(ValueError, match=named):
        build()


def test_a_configuration_error_is_a_value_error():
    assert issubclass(ConfigError, ValueError)
