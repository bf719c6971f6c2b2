"""The process obeys the laws of diffx, is the one of the paper, and an anchor is a mere shift."""

import math
import re
from pathlib import Path

import pytest
import torch
from attrs import frozen
from torch import Tensor

from diffx_core import (
    PREDICTIONS,
    Batch,
    Condition,
    ConfigError,
    Denoise,
    NetworkDenoiser,
    NoiseSource,
    Objective,
    Plan,
    Sampler,
    Scheduler,
    StepNoise,
    sample,
)
from diffx_core.testing import SchedulerSuite
from diffx_ouve.sde import OUVE

README = Path(__file__).parents[1] / "README.md"


class TestLaws(SchedulerSuite):
    def component(self) -> Scheduler:
        return OUVE()


class TestLawsWithoutDrift(SchedulerSuite):
    def component(self) -> Scheduler:
        return OUVE(gamma=0.0, sigma_min=0.01, sigma_max=50.0)


@frozen(kw_only=True)
class Unanchored(OUVE):
    """The same process around zero."""

    def anchor(self, cond: Condition) -> None:  # type: ignore[override] # that is the point
        return None


@frozen(kw_only=True)
class Ancestral(Sampler[None]):
    """The shortest sampler that draws noise."""

    @property
    def stochastic(self) -> bool:
        return True

    def start(self, plan: Plan) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: None, noise: StepNoise
    ) -> tuple[Tensor, None]:
        half = plan.sigma[i + 1] / math.sqrt(2)
        return denoise(x, plan.times[i]).mix(plan.alpha[i + 1], half) + half * noise(0), state


def network(x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
    """Any function of x and its noise level will do; it does not look at the image."""
    return (1.3 * x + noise_label[:, None].to(x.dtype) / 1000).sin()


def denoiser(process: Scheduler, prediction: str = "edm") -> NetworkDenoiser:
    return NetworkDenoiser(network, process, PREDICTIONS[prediction], sigma_data=0.7)


X0 = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(8, 3)
IMAGE = (3 * X0).cos()


def test_its_moments_solve_the_equations_of_the_sde() -> None:
    # m' = gamma (y - m) and V' = -2 gamma V + g^2, by central differences of the closed forms: the
    # error, of order h^2, is below 1e-8.
    process, h, y, x0 = OUVE(), 1e-5, 0.8, -0.4
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)

    def mean(s: Tensor) -> Tensor:
        return y + process.alpha(s) * (x0 - y)

    mean_rate = (mean(t + h) - mean(t - h)) / (2 * h)
    torch.testing.assert_close(mean_rate, 1.5 * (y - mean(t)), rtol=1e-8, atol=1e-10)
    variance_rate = (process.sigma(t + h) ** 2 - process.sigma(t - h) ** 2) / (2 * h)
    expected = -2 * 1.5 * process.sigma(t) ** 2 + process.diffusion(t) ** 2
    torch.testing.assert_close(variance_rate, expected, rtol=1e-8, atol=1e-10)


def test_it_starts_without_noise() -> None:
    start = torch.zeros(1, dtype=torch.float64)
    assert (OUVE().alpha(start), OUVE().sigma(start)) == (1, 0)


def test_its_variance_is_that_of_the_paper() -> None:
    process = OUVE()
    t = torch.linspace(process.t_min, 1, 50, dtype=torch.float64)
    growth = math.log(10)
    paper = 0.05**2 * (10 ** (2 * t) - (-3 * t).exp()) * growth / (1.5 + growth)
    torch.testing.assert_close(process.sigma(t) ** 2, paper, rtol=1e-12, atol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_loss_is_that_of_the_shifted_data(prediction: str) -> None:
    shifted = Objective()(denoiser(Unanchored(), prediction), Batch(X0 - IMAGE), step=5)
    anchored = Objective()(denoiser(OUVE(), prediction), Batch(X0, Condition(image=IMAGE)), step=5)
    torch.testing.assert_close(anchored, shifted, rtol=1e-12, atol=0)


def test_samples_are_those_of_the_plain_process_shifted() -> None:
    noise, cond = NoiseSource(0, range(8), dtype=torch.float64), Condition(image=IMAGE)
    plain = sample(Ancestral(steps=9), denoiser(Unanchored()), (3,), noise=noise)
    seen: list[Tensor] = []
    anchored = sample(
        Ancestral(steps=9),
        denoiser(OUVE()),
        (3,),
        noise=noise,
        cond=cond,
        observe=lambda reached: seen.append(reached.x),
    )
    torch.testing.assert_close(anchored, plain + IMAGE, rtol=0, atol=1e-12)
    torch.testing.assert_close(seen[-1], anchored, rtol=0, atol=0)


def test_sampling_begins_at_the_image() -> None:
    noise, cond = NoiseSource(0, range(8), dtype=torch.float64), Condition(image=IMAGE)
    first: list[Tensor] = []
    process = OUVE(sigma_min=1e-7, sigma_max=1e-6)  # almost no noise

    def silent(x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        return torch.zeros_like(x)

    model = NetworkDenoiser(silent, process, PREDICTIONS["x0"], sigma_data=1.0)
    sample(
        Ancestral(steps=2),
        model,
        (3,),
        noise=noise,
        cond=cond,
        observe=lambda reached: first.append(reached.x),
    )
    torch.testing.assert_close(first[0], IMAGE, rtol=0, atol=1e-5)


def test_a_missing_image_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        ConfigError, match=r"train on a dataset of pairs, and sample, with Condition"
    ):
        Objective()(denoiser(OUVE()), Batch(X0), step=0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"gamma": -1.0}, "'gamma' must be >= 0"),
        ({"sigma_min": 0.0}, "'sigma_min' must be > 0"),
        ({"sigma_min": 0.5}, r"sigma_min \(0.5\) must be below sigma_max \(0.5\)"),
        ({"gamma": math.inf}, r"gamma \(inf\)"),
        ({"sigma_max": math.nan}, "sigma_max"),
    ],
)
def test_options_that_make_no_process_are_refused(options: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        OUVE(**options)


@pytest.mark.skipif(not README.exists(), reason="only the tests were copied, not the README")
def test_the_example_of_the_readme_runs() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(source, "README.md", "exec"), names)
    assert torch.as_tensor(names["loss"]).isfinite()
