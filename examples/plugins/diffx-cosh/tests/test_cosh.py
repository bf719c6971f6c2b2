"""The process obeys the laws of diffx, and is the one that it claims to be."""

import pytest
import torch

from diffx_core import Scheduler
from diffx_core.testing import SchedulerSuite
from diffx_cosh.sde import CoshSDE


class TestLaws(SchedulerSuite):
    def component(self) -> Scheduler:
        return CoshSDE()


class TestLawsOfASlowProcess(SchedulerSuite):
    def component(self) -> Scheduler:
        return CoshSDE(rate=3.0)


def test_it_preserves_variance() -> None:
    process = CoshSDE()
    t = torch.linspace(process.t_min, 1, 9, dtype=torch.float64)
    torch.testing.assert_close(process.alpha(t) ** 2 + process.sigma(t) ** 2, torch.ones_like(t))


def test_its_rate_of_noise_is_twice_rate_times_tanh() -> None:
    process = CoshSDE(rate=4.0)
    t = torch.linspace(process.t_min, 1, 9, dtype=torch.float64)
    torch.testing.assert_close(process.diffusion(t) ** 2, 8 * (4 * t).tanh())


def test_a_process_that_keeps_its_data_is_refused() -> None:
    with pytest.raises(ValueError, match="rate"):
        CoshSDE(rate=0.0)
