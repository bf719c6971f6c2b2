"""A process that is given by its SDE is the process that its author has in mind."""

import math

import pytest
import torch
from attrs import evolve, field, frozen

from diffx_core import ConfigError, Scheduler, SchedulerFromSDE
from diffx_core.testing import SCHEDULER_LAWS, SchedulerSuite

EXACT = 1e-12
"""What closed forms and quadrature agree to, relative."""


@frozen(kw_only=True)
class VP(SchedulerFromSDE):
    beta_min: float = 0.1
    beta_max: float = 20.0

    def beta(self, t):
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t):
        return self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2

    def drift(self, t):
        return -self.beta(t) / 2

    def diffusion(self, t):
        return self.beta(t).sqrt()


@frozen(kw_only=True)
class SubVP(VP):
    def diffusion(self, t):
        return (self.beta(t) * -(-2 * self.integral(t)).expm1()).sqrt()


@frozen(kw_only=True)
class VE(SchedulerFromSDE):
    start_std: float = 0.01
    sigma_max: float = 50.0

    def drift(self, t):
        return torch.zeros_like(t)

    def diffusion(self, t):
        ratio = self.sigma_max / self.start_std
        return self.start_std * ratio**t * math.sqrt(2 * math.log(ratio))


@frozen(kw_only=True)
class Flow(SchedulerFromSDE):
    """Rectified flow, up to the time before its end at which the SDE is singular."""

    t_max: float = 0.999

    def drift(self, t):
        return -1 / (1 - t)

    def diffusion(self, t):
        return (2 * t / (1 - t)).sqrt()


@frozen(kw_only=True)
class Switched(SchedulerFromSDE):
    """A variance-preserving process whose rate jumps where no edge of the first panels is."""

    jump: float = 1 / 3

    def rate(self, t):
        return torch.where(t < self.jump, 1.0, 14.0).to(t)

    def drift(self, t):
        return -self.rate(t) / 2

    def diffusion(self, t):
        return self.rate(t).sqrt()


@frozen(kw_only=True)
class Root(SchedulerFromSDE):
    """A variance-preserving process whose rate has an infinite derivative at the start."""

    def drift(self, t):
        return -10 * t.sqrt() / 2

    def diffusion(self, t):
        return (10 * t.sqrt()).sqrt()


class TestLawsOfVP(SchedulerSuite):
    def component(self) -> Scheduler:
        return VP()


class TestLawsOfSubVP(SchedulerSuite):
    def component(self) -> Scheduler:
        return SubVP()


class TestLawsOfVE(SchedulerSuite):
    def component(self) -> Scheduler:
        return VE()


class TestLawsOfFlow(SchedulerSuite):
    def component(self) -> Scheduler:
        return Flow()


class TestLawsOfRoot(SchedulerSuite):
    def component(self) -> Scheduler:
        return Root()


class TestLawsOfSwitched(SchedulerSuite):
    def component(self) -> Scheduler:
        return Switched()


@pytest.mark.parametrize("jump", [0.1234, 0.37, 0.5, 0.9001])
def test_a_jump_is_no_fault_wherever_it_is(jump):
    (law,) = [one for one in SCHEDULER_LAWS if one.name == "the SDE reproduces the marginals"]
    law.check(Switched(jump=jump))


def times(process, count=501):
    """Times with every order of magnitude of what has passed since the start."""
    passed = torch.logspace(-9, 0, count, dtype=torch.float64)
    return process.t_min + (process.t_max - process.t_min) * passed


def vp(t):
    integral = VP().integral(t)
    return (-integral / 2).exp(), (-(-integral).expm1()).sqrt()


def sub_vp(t):
    integral = VP().integral(t)
    return (-integral / 2).exp(), -(-integral).expm1()


def ve(t):
    return torch.ones_like(t), 0.01 * 5000**t


def flow(t):
    return 1 - t, t


def switched(t):
    integral = t + 13 * (t - 1 / 3).clamp(min=0)
    return (-integral / 2).exp(), (-(-integral).expm1()).sqrt()


CLOSED = [(VP(), vp), (SubVP(), sub_vp), (VE(), ve), (Flow(), flow), (Switched(), switched)]
IDS = [type(process).__name__ for process, _ in CLOSED]


@pytest.mark.parametrize(("process", "closed"), CLOSED, ids=IDS)
def test_alpha_and_sigma_are_the_closed_forms(process, closed):
    t = times(process)
    alpha, sigma = closed(t)
    torch.testing.assert_close(process.alpha(t), alpha, rtol=EXACT, atol=0)
    torch.testing.assert_close(process.sigma(t), sigma, rtol=EXACT, atol=0)
    log_snr = 2 * (alpha / sigma).log()
    torch.testing.assert_close(process.log_snr(t), log_snr, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("process", "closed"), CLOSED, ids=IDS)
def test_the_inverse_is_exact_at_all_times(process, closed):
    t = times(process)
    alpha, sigma = closed(t)
    found = process.time_of(2 * (alpha / sigma).log())
    torch.testing.assert_close(found, t, rtol=1e-11, atol=1e-14)


def test_the_inverse_is_exact_at_the_edges_of_panels_too():
    t = torch.linspace(0, 1, 65, dtype=torch.float64)
    torch.testing.assert_close(VP().time_of(VP().log_snr(t)), t, rtol=1e-14, atol=0)


def test_rates_are_closed_too():
    t = times(VP())
    alpha, sigma = vp(t)
    beta = VP().beta(t)
    torch.testing.assert_close(VP().alpha_rate(t), -beta / 2 * alpha, rtol=EXACT, atol=0)
    torch.testing.assert_close(VP().log_snr_rate(t), -beta / sigma**2, rtol=EXACT, atol=0)
    rate = beta * alpha**2 / (2 * sigma)
    torch.testing.assert_close(VP().sigma_rate(t), rate, rtol=1e-9, atol=0)


@pytest.mark.parametrize("process", [VP(), SubVP(), Root()], ids=["vp", "subvp", "root"])
def test_the_start_is_clean_and_everything_there_is_a_number(process):
    start = torch.zeros(1, dtype=torch.float64)
    assert (process.alpha(start), process.sigma(start)) == (1, 0)
    assert process.log_snr(start) == math.inf
    for rate in (process.alpha_rate, process.sigma_rate, process.log_snr_rate):
        assert rate(start).isfinite().all()


def test_the_rate_of_sigma_of_a_smooth_start_is_its_limit():
    # subVP: sigma = 1 - exp(-B), so sigma' = beta_min at the start, where g^2 / sigma is 0 / 0
    start = torch.zeros(1, dtype=torch.float64)
    torch.testing.assert_close(SubVP().sigma_rate(start), start + 0.1, rtol=1e-6, atol=0)


def test_levels_beyond_the_process_are_its_ends():
    levels = torch.tensor([math.inf, 1e9, -1e9, -math.inf], dtype=torch.float64)
    assert VE().time_of(levels).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_times_beyond_the_process_by_rounding_are_its_ends():
    process = Flow(t_max=0.3)  # in float32 a number above it
    end = torch.tensor(0.3, dtype=torch.float32)
    assert float(end) > process.t_max
    assert process.alpha(end) == process.alpha(torch.tensor(process.t_max).double()).float()


def test_a_signal_far_below_what_floats_can_square_is_still_known():
    process = VP(beta_max=3000.0)  # alpha = exp(-750) underflows
    end = torch.tensor([1.0], dtype=torch.float64)
    torch.testing.assert_close(process.log_snr(end), -process.integral(end), rtol=EXACT, atol=0)
    torch.testing.assert_close(process.sigma(end), torch.ones_like(end), rtol=EXACT, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_times_of_low_precision_lose_nothing_but_the_last_rounding(dtype):
    t = torch.linspace(0.1, 1, 33).to(dtype)
    found = VP().sigma(t)
    assert found.dtype == dtype
    assert torch.equal(found, VP().sigma(t.double()).to(dtype))


def test_shapes_are_those_of_time():
    for shape in ((), (0,), (2, 3)):
        t = torch.full(shape, 0.5, dtype=torch.float64)
        for function in (VP().alpha, VP().sigma, VP().log_snr, VP().time_of, VP().sigma_rate):
            assert function(t).shape == shape


def test_a_process_first_used_while_sampling_can_be_trained_with():
    process = evolve(VP(), beta_max=19.0)
    with torch.inference_mode():
        process.sigma(torch.tensor(0.5))
    t = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    process.sigma(t).backward()
    torch.testing.assert_close(t.grad, process.sigma_rate(t.detach()), rtol=1e-10, atol=0)


@frozen(kw_only=True)
class Late(SchedulerFromSDE):
    """Only integrated when it is asked: its author has a post-init of his own."""

    end: float = field(default=1.0)
    start_std: float = 0.0

    def __attrs_post_init__(self):
        pass

    @property
    def t_max(self):
        return self.end

    def drift(self, t):
        return -1 / (1 - t)

    def diffusion(self, t):
        return torch.ones_like(t)


@frozen(kw_only=True)
class Falling(VP):
    def diffusion(self, t):
        return 0.5 - t


@frozen(kw_only=True)
class Single(VP):
    def drift(self, t):
        return super().drift(t).float()


@frozen(kw_only=True)
class Number(VP):
    def drift(self, t):
        return -1.0


@frozen(kw_only=True)
class Wild(VP):
    def drift(self, t):
        return (1 / (t - 0.37123)).sin()


@frozen(kw_only=True)
class Pole(VP):
    def drift(self, t):
        return -1 / (t - 0.37123).abs()


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Flow(t_max=1.0), r"Flow: drift\(t\) is not finite at t = 1;"),
        (lambda: Flow(t_max=1.0), r"Flow: diffusion\(t\) is not finite at t = 1;"),
        (lambda: Flow(t_max=0.0), r"Flow: t_min \(0\) must be below t_max \(0\)"),
        (lambda: Flow(t_max=math.nan), "t_max"),
        (lambda: VE(start_std=-1.0), "VE: start_std must be at least 0, got -1"),
        (Falling, r"Falling: diffusion\(t\) is below zero at t = 0.53125"),
        (Single, r"Single: drift\(t\) must return a tensor like t"),
        (Number, r"Number: drift\(t\) must return a tensor like t"),
        (Wild, "Wild: .* do not converge near t = 0.371"),
        (Pole, "Pole: .* do not converge near t = 0.371"),
    ],
)
def test_an_sde_that_makes_no_process_is_refused_by_name(build, named):
    with pytest.raises(ConfigError, match=named):
        build()


def test_an_author_with_an_initialisation_of_his_own_is_refused_at_the_first_question():
    process = Late()
    with pytest.raises(ConfigError, match=r"Late: drift\(t\) is not finite at t = 1"):
        process.alpha(torch.tensor(0.5))
    assert Late(end=0.5).alpha(torch.tensor(0.25, dtype=torch.float64)) == pytest.approx(0.75)
