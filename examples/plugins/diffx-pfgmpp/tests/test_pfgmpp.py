"""The process obeys the laws of diffx, its noise is Student's t, and its ODE keeps quantiles."""

import math
from collections.abc import Iterable

import pytest
import torch
from attrs import frozen
from torch import Tensor

from diffx_core import (
    Condition,
    ConfigError,
    Decoding,
    Denoise,
    Estimate,
    NoiseSource,
    Plan,
    Sampler,
    Scheduler,
    StepNoise,
    sample,
)
from diffx_core.testing import SchedulerSuite
from diffx_pfgmpp.process import PFGMPP


class TestLaws(SchedulerSuite):
    def component(self) -> Scheduler:
        return PFGMPP()


class TestLawsOfCauchyNoise(SchedulerSuite):
    def component(self) -> Scheduler:
        return PFGMPP(D=1, sigma_min=0.01, sigma_max=50.0)


def student_cdf(x: Tensor, freedom: int) -> Tensor:
    """The distribution function of Student's t, in closed form."""
    if freedom == 1:
        return 0.5 + x.atan() / math.pi
    if freedom == 2:
        return 0.5 + x / (2 * (2 + x**2).sqrt())
    assert freedom == 3
    u = x / math.sqrt(3)
    return 0.5 + (u / (1 + u**2) + u.atan()) / math.pi


def student_log_density(x: Tensor, freedom: int) -> Tensor:
    """Up to a constant."""
    return -(freedom + 1) / 2 * (1 + x**2 / freedom).log()


POINTS = torch.tensor([-1.0, 0.3, 1.2], dtype=torch.float64)


@frozen
class Expected:
    """The exact denoiser of three points on a line, under noise of the process."""

    scheduler: PFGMPP

    @property
    def t_min(self) -> float:
        return self.scheduler.t_min

    @property
    def t_max(self) -> float:
        return self.scheduler.t_max

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Nothing needs preparing."""

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        assert isinstance(t, float)
        weights = student_log_density((x - POINTS) / t, self.scheduler.D).softmax(1)
        x0 = (weights * POINTS).sum(1, keepdim=True)
        return Estimate(x, x0, Decoding(0.0, 1.0, 1 / t, -1 / t))

    def cdf(self, x: Tensor, t: float) -> Tensor:
        return student_cdf((x - POINTS) / t, self.scheduler.D).mean(1)


@frozen(kw_only=True)
class RungeKutta(Sampler[None]):
    """The classical method of fourth order, in log t: dx / dlog t = t eps, for alpha = 1."""

    @property
    def nfe(self) -> int:
        return 4 * self.steps

    def start(self, plan: Plan) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: None, noise: StepNoise
    ) -> tuple[Tensor, None]:
        t, later = plan.times[i : i + 2]
        h, middle = math.log(later / t), math.sqrt(t * later)
        a = denoise(x, t).mix(0.0, t)
        b = denoise(x + h / 2 * a, middle).mix(0.0, middle)
        c = denoise(x + h / 2 * b, middle).mix(0.0, middle)
        d = denoise(x + h * c, later).mix(0.0, later)
        return x + h / 6 * (a + 2 * b + 2 * c + d), state


@pytest.mark.parametrize("freedom", [1, 2, 3])
def test_the_ode_keeps_every_quantile_from_the_first_noise_to_the_data(freedom: int) -> None:
    process = PFGMPP(D=freedom, sigma_min=0.05, sigma_max=50.0)
    denoiser, sampler = Expected(process), RungeKutta(steps=600, grid="logsnr")
    plan = Plan.of(process, sampler.times(process, process.t_max), clean=False)
    noise = NoiseSource(0, range(200), dtype=torch.float64)
    before = denoiser.cdf(process.t_max * process.noise(noise, (1,), -1), process.t_max)
    ends = sample(sampler, denoiser, (1,), noise=noise, plan=plan)
    after = denoiser.cdf(ends, process.t_min)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-7)
    assert before.min() < 0.05
    assert before.max() > 0.95


@pytest.mark.parametrize("freedom", [1, 2, 3])
def test_each_coordinate_of_the_noise_is_students_t(freedom: int) -> None:
    count = 20_000
    eps = PFGMPP(D=freedom).noise(NoiseSource(0, range(count), dtype=torch.float64), (2,), step=0)
    levels = torch.linspace(0, 1, count + 1, dtype=torch.float64)[1:]
    for coordinate in eps.unbind(1):
        found = student_cdf(coordinate.sort().values, freedom)
        # Dvoretzky-Kiefer-Wolfowitz: exceeded with a probability of 1e-6
        bound = math.sqrt(math.log(2 / 1e-6) / (2 * count)) + 1 / count
        assert (found - levels).abs().max() < bound


def test_the_radius_is_that_of_the_paper() -> None:
    # R^2 / (R^2 + D) ~ Beta(N/2, D/2); for N = 2 its distribution function is 1 - (1 - b)^(D/2)
    count, freedom = 20_000, 5
    eps = PFGMPP(D=freedom).noise(NoiseSource(1, range(count), dtype=torch.float64), (2,), step=3)
    squared = eps.square().sum(1)
    found = (1 - (squared / (squared + freedom)).sort().values).pow(freedom / 2)
    levels = 1 - torch.linspace(0, 1, count + 1, dtype=torch.float64)[1:]
    assert (found - levels).abs().max() < math.sqrt(math.log(2 / 1e-6) / (2 * count)) + 1 / count


def test_all_coordinates_share_one_scale() -> None:
    source = NoiseSource(0, [4, 9], dtype=torch.float64)
    eps = PFGMPP(D=6).noise(source, (3, 2, 2), step=7)
    ratio = source.normal((3, 2, 2), 7) / eps
    scale = source.normal((6,), 7, 1).square().mean(1).sqrt()
    torch.testing.assert_close(ratio, scale.reshape(2, 1, 1, 1).expand_as(ratio))


def test_in_many_extra_dimensions_the_noise_is_normal() -> None:
    # The mean of D squares is 1 with a deviation of sqrt(2 / D); six of them, halved by the root.
    count = 10**6
    source = NoiseSource(0, [0, 1], dtype=torch.float64)
    eps = PFGMPP(D=count).noise(source, (4,), step=0)
    torch.testing.assert_close(eps, source.normal((4,), 0), rtol=3 * math.sqrt(2 / count), atol=0)


@frozen(kw_only=True)
class Noisy(RungeKutta):
    @property
    def stochastic(self) -> bool:
        return True


def test_a_sampler_that_needs_gaussian_noise_is_refused() -> None:
    process = PFGMPP(D=3)
    with pytest.raises(ConfigError, match="PFGMPP does not offer"):
        sample(Noisy(), Expected(process), (1,), noise=NoiseSource(0, [0]))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"D": 0}, "'D' must be >= 1"),
        ({"sigma_min": 0.0}, "'sigma_min' must be > 0"),
        ({"sigma_min": 90.0}, r"sigma_max \(80\) must be finite and above sigma_min \(90\)"),
        ({"sigma_max": math.inf}, r"sigma_max \(inf\) must be finite"),
        ({"sigma_max": math.nan}, "sigma_max"),
    ],
)
def test_options_that_make_no_process_are_refused(options: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        PFGMPP(**options)  # type: ignore[arg-type] # the values are what is tested
