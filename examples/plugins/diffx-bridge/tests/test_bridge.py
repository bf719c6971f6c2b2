"""The process obeys the laws of diffx, and is the one of the paper."""

import math
from typing import Any

import pytest
import torch

from diffx_bridge.sde import BrownianBridge
from diffx_core import Condition, ConfigError, Scheduler
from diffx_core.testing import SchedulerSuite


class TestLaws(SchedulerSuite):
    def component(self) -> Scheduler:
        return BrownianBridge()


class TestLawsOfABridgeToZero(SchedulerSuite):
    def component(self) -> Scheduler:
        return BrownianBridge(c=2.0, k=10.0, end="zero")


def exponential_integrals(a: torch.Tensor, b: float) -> torch.Tensor:
    """Ei(a) - Ei(b) for negative a and b, by the power series, whose logarithms are subtracted."""
    terms = [(a**n - b**n) / float(n * math.factorial(n)) for n in range(1, 40)]
    return (a / b).log() + torch.stack(terms).sum(0)


@pytest.mark.parametrize(("c", "k"), [(0.51, 2.6), (2.0, 10.0)])
def test_its_deviation_is_that_of_the_paper(c: float, k: float) -> None:
    process = BrownianBridge(c=c, k=k)
    # From 0.1 on: before, the closed form cancels.
    t = torch.linspace(0.1, process.t_max, 101, dtype=torch.float64)
    rate = math.log(k)
    integrals = exponential_integrals(-2 * rate * (1 - t), -2 * rate)
    variance = k ** (2 * t) - 1 + t + 2 * rate * k**2 * (1 - t) * integrals
    expected = (c * (1 - t) * variance).sqrt()
    torch.testing.assert_close(process.sigma(t), expected, rtol=1e-11, atol=0)


def test_its_mean_is_a_straight_line() -> None:
    process = BrownianBridge()
    t = torch.linspace(0, process.t_max, 101, dtype=torch.float64)
    torch.testing.assert_close(process.alpha(t), 1 - t, rtol=1e-12, atol=0)


def test_a_bridge_without_growth_is_the_brownian_bridge() -> None:
    process = BrownianBridge(c=1.0, k=1.0)
    t = torch.linspace(0, process.t_max, 101, dtype=torch.float64)
    torch.testing.assert_close(process.sigma(t), (t * (1 - t)).sqrt(), rtol=1e-12, atol=0)


def test_it_leads_to_the_image_or_to_zero() -> None:
    image = torch.ones(2, 3)
    assert BrownianBridge().anchor(Condition(image=image)) is image
    assert BrownianBridge(end="zero").anchor(Condition(image=image)) is None


def test_a_missing_image_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"Condition\(image=.*end 'zero'"):
        BrownianBridge().anchor(Condition())


@pytest.mark.parametrize("options", [{"c": 0.0}, {"k": -1.0}, {"k": math.inf}, {"end": "nowhere"}])
def test_options_that_make_no_process_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"'[ck]' must|'end' must|diffusion\(t\) is not finite"):
        BrownianBridge(**options)
