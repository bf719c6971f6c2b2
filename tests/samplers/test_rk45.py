"""Dormand-Prince: its coefficients, its tolerance, steps of every sample's own."""

from fractions import Fraction

import pytest
import torch
from attrs import frozen

from diffx_core import ComponentError, ConfigError, NoiseSource, Plan, sample
from diffx_core.testing import GaussianDenoiser, MixtureDenoiser, SamplerSuite
from diffx_core.testing.oracle import ReferenceVP
from diffx_core.testing.sampler_laws import window
from diffx_samplers.rk45 import ERROR, RK45, STAGES


class TestRK45(SamplerSuite):
    def component(self):
        return RK45()


def test_the_coefficients_meet_the_conditions_of_their_orders():
    a = [[Fraction(w).limit_denominator(10**6) for w in row] for row in STAGES]
    c = [Fraction(0), *(sum(row) for row in a)]
    assert c == [0, *map(Fraction, ("1/5", "3/10", "4/5", "8/9", "1", "1"))]
    fifth = [*a[-1], Fraction(0)]
    fourth = [b - Fraction(e).limit_denominator(10**6) for b, e in zip(fifth, ERROR, strict=True)]
    for weights, order in ((fifth, 5), (fourth, 4)):
        for power in range(order):
            moment = sum(b * node**power for b, node in zip(weights, c, strict=True))
            assert moment == Fraction(1, power + 1)
        rows = [[], *a]
        nested = sum(
            b * sum(w * node for w, node in zip(row, c, strict=False))
            for b, row in zip(weights, rows, strict=True)
        )
        assert nested == Fraction(1, 6)


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8])
def test_the_error_follows_the_tolerance(process, rtol):
    plan, denoiser = window(process, 1), MixtureDenoiser(process)
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None] * plan.sigma[0]
    noise = NoiseSource(0, range(9), dtype=torch.float64)
    sampler = RK45(rtol=rtol, atol=rtol)
    found = sample(sampler, denoiser, (1,), noise=noise, plan=plan, start=start)
    exact = denoiser.flow(start, plan.times[0], plan.times[1])
    assert float((found - exact).abs().max()) < 100 * rtol  # about ten steps of it, amplified


def test_it_follows_the_flow_of_gaussian_data_to_a_millionth(process):
    plan, denoiser = window(process, 3), GaussianDenoiser(process)
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None] * plan.sigma[0]
    noise = NoiseSource(0, range(9), dtype=torch.float64)
    sampler = RK45(rtol=1e-8, atol=1e-8)
    found = sample(sampler, denoiser, (1,), noise=noise, plan=plan, start=start)
    exact = denoiser.flow(start, plan.times[0], plan.times[-1])
    assert float((found - exact).abs().max()) < 1e-6


def test_from_pure_noise_to_data_and_back_no_error_is_left(process):
    """Down to sigma / alpha = 0.01 and up again, from the latest time, singular or not."""
    times = process.time_of(torch.tensor([-12.0, 9.2], dtype=torch.float64))
    times[0] = process.t_max
    sampler, denoiser = RK45(rtol=1e-8, atol=1e-8), MixtureDenoiser(process)
    start = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)[:, None] * float(process.prior_std())
    noise = NoiseSource(0, range(7), dtype=torch.float64)
    run = {"noise": noise}
    down, up = (Plan.of(process, one, clean=False) for one in (times, times.flip(0)))
    data = sample(sampler, denoiser, (1,), plan=down, start=start, **run)
    back = sample(sampler, denoiser, (1,), plan=up, start=data, **run)
    assert float((back - start).abs().max()) < 1e-5 * float(process.prior_std())


def test_shown_times_do_not_change_the_result_beyond_the_tolerance(process):
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    first, second = (
        sample(RK45(steps=n, rtol=1e-7, atol=1e-7), MixtureDenoiser(process), (2,), noise=noise)
        for n in (1, 7)
    )
    assert torch.allclose(first, second, atol=1e-5)


def test_a_tighter_tolerance_takes_more_calls_and_each_sample_its_own():
    def calls(rtol, indices):
        denoiser = MixtureDenoiser(ReferenceVP())
        noise = NoiseSource(0, indices, dtype=torch.float64)
        sample(RK45(rtol=rtol, atol=rtol), denoiser, (2,), noise=noise)
        return len(denoiser.calls)

    assert calls(1e-3, [0]) < calls(1e-6, [0]) < 2000
    assert calls(1e-4, range(5)) == sum(calls(1e-4, [index]) for index in range(5))


@frozen
class Discrete(ReferenceVP):
    """A process in discrete time."""

    def grid(self):
        return torch.linspace(0.01, 1, 100, dtype=torch.float64)


def test_a_process_in_discrete_time_is_refused():
    with pytest.raises(ConfigError, match=r"RK45 needs any_time, which the scheduler Discrete"):
        sample(RK45(), GaussianDenoiser(Discrete()), (1,), noise=NoiseSource(0, [0]))


def test_a_number_of_calls_cannot_be_asked_for():
    with pytest.raises(ConfigError, match="found during the run"):
        RK45().with_nfe(20)


def test_a_broken_network_ends_the_run_and_is_named():
    class Broken(GaussianDenoiser):
        def __call__(self, x, t, cond=None):
            estimate = super().__call__(x, t, cond)
            estimate.output.fill_(float("nan"))
            return estimate

    with pytest.raises(ComponentError, match="not finite at step 1") as caught:
        sample(RK45(), Broken(ReferenceVP()), (2,), noise=NoiseSource(0, [0], dtype=torch.float64))
    assert caught.value.kind == "backbone"
