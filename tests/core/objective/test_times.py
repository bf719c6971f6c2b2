"""Densities of times: exact inverses, the right total, the distributions of the papers."""

import math

import numpy as np
import pytest
import torch
from attrs import frozen

from diffx_core import ConfigError, Objective, Scheduler
from diffx_core.objective.times import LogitNormal, LogNormalSigma, Mode
from diffx_core.options import ObjectiveOptions
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP

TIMES = ["uniform", "logit_normal", "log_normal_sigma", "mode"]
SHARES = torch.linspace(1e-6, 1 - 1e-6, 2001, dtype=torch.float64)
NODES, WEIGHTS = (torch.from_numpy(one) for one in np.polynomial.legendre.leggauss(24))


def density(scheduler, times, sigma_data=0.5, **options):
    return Objective(ObjectiveOptions(times=times, **options)).density(scheduler, sigma_data)


def ends(scheduler):
    return torch.tensor([scheduler.t_min, scheduler.t_max], dtype=torch.float64)


def total(one, edges):
    """The integral of the density between falling or rising edges, one number for each gap."""
    half, middle = edges.diff()[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    return (one.log_prob(middle + half * NODES).exp() * WEIGHTS * half).sum(1)


@pytest.mark.parametrize("times", TIMES)
def test_quantiles_and_shares_are_inverse(continuous, times):
    one = density(continuous, times)
    torch.testing.assert_close(one.cdf(one.quantile(SHARES)), SHARES, rtol=0, atol=1e-12)


@pytest.mark.parametrize("times", [*TIMES, "discrete", "adaptive", "importance"])
def test_all_times_are_within_the_process(process, times):
    one = density(process, times)
    reached = one.quantile(torch.linspace(0, 1, 1001, dtype=torch.float64))
    assert (reached.diff() >= 0).all()
    assert reached.min() >= process.t_min
    assert reached.max() <= process.t_max
    assert one.cdf(ends(process))[1] == 1


@pytest.mark.parametrize("times", [*TIMES, "adaptive", "importance"])
def test_the_density_is_the_slope_of_the_shares(continuous, times):
    """In each of 200 parts the density integrates to the part's share: so it does in all of them.

    Gauss's rule with 24 nodes; what is left out at the ends is 2e-6 by construction.
    """
    one = density(continuous, times)
    edges = one.quantile(torch.linspace(1e-6, 1 - 1e-6, 201, dtype=torch.float64))
    found = total(one, edges)
    torch.testing.assert_close(found, one.cdf(edges).diff(), rtol=0, atol=1e-8)
    assert float(found.sum()) == pytest.approx(1 - 2e-6, abs=1e-9)


@pytest.mark.parametrize("times", [*TIMES, "discrete", "adaptive"])
def test_a_process_in_discrete_time_is_asked_about_its_own_times_alone(in_steps, times):
    one, grid = density(in_steps, times), in_steps.grid()
    drawn = one.quantile(SHARES)
    assert torch.isin(drawn, grid).all()
    # The share of draws at each time is its probability: 2001 evenly spread draws, so within one.
    probability = torch.cat([one.cdf(grid)[:1], one.cdf(grid).diff()])
    count = (drawn[:, None] == grid).sum(0)
    assert ((count - probability * 2001).abs() <= 1).all()
    assert float(probability.sum()) == pytest.approx(1, abs=1e-12)
    # As a density, that probability is spread over the cell before the time.
    spread = one.log_prob(grid).exp() / 40
    torch.testing.assert_close(spread, probability, rtol=1e-12, atol=1e-15)


def test_the_steps_of_a_process_have_the_probability_of_their_cells(in_steps):
    plain = LogitNormal(0.0, 1.0)
    cells = torch.arange(41, dtype=torch.float64) / 40
    found = density(in_steps, "logit_normal")
    torch.testing.assert_close(found.cdf(in_steps.grid()), plain.cdf(cells)[1:], rtol=0, atol=1e-15)


def test_discrete_times_are_equal_levels():
    one = density(ReferenceVE(), "discrete", times_levels=7)
    drawn = one.quantile((torch.arange(70, dtype=torch.float64) + 0.5) / 70)
    assert drawn.unique(return_counts=True)[1].tolist() == [10] * 7
    assert drawn.unique().tolist() == pytest.approx([i / 7 for i in range(1, 8)])


def test_a_process_that_has_levels_takes_no_number_of_them(in_steps):
    assert len(density(in_steps, "discrete").quantile(SHARES).unique()) == 40
    with pytest.raises(ConfigError, match="times_levels is 10, but InSteps has 40 levels"):
        density(in_steps, "discrete", times_levels=10)


def test_logit_normal_is_the_sigmoid_of_a_normal():
    one = density(ReferenceFlow(), "logit_normal", times_mean=0.3, times_std=0.8)
    assert float(one.quantile(torch.tensor(0.5, dtype=torch.float64))) == pytest.approx(
        1 / (1 + math.exp(-0.3)), rel=1e-14
    )
    t = torch.tensor(0.2, dtype=torch.float64)
    z = (math.log(0.2 / 0.8) - 0.3) / 0.8
    expected = math.exp(-(z**2) / 2) / (0.8 * math.sqrt(2 * math.pi) * 0.2 * 0.8)
    assert float(one.log_prob(t).exp()) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_log_normal_sigma_follows_the_size_of_the_data(continuous, sigma_data):
    """Half the noise levels of a process without bounds are below 2 sigma_data exp(-1.2)."""
    one = density(continuous, "log_normal_sigma", sigma_data)
    t = continuous.time_of(
        torch.tensor(-2 * math.log(2 * sigma_data * math.exp(-1.2)), dtype=torch.float64)
    )
    # VP begins at sigma / alpha = 1e-3 and VE at 1e-2: 2.9 standard deviations below the mean.
    assert float(one.cdf(t)) == pytest.approx(0.5, abs=2e-3)


def test_log_normal_sigma_is_cut_off_where_the_process_ends():
    """VE from 0.01, around 0.02: 12% of the untruncated distribution is below that."""
    one = LogNormalSigma(ReferenceVE(), mean=math.log(0.02), std=0.6)
    below = 0.5 * math.erfc(math.log(2) / 0.6 / math.sqrt(2))
    t = torch.tensor(math.log(2) / math.log(5000), dtype=torch.float64)
    assert float(one.cdf(t)) == pytest.approx((0.5 - below) / (1 - below), rel=1e-12)


def test_noise_levels_that_the_process_does_not_have_are_refused():
    with pytest.raises(ConfigError, match=r"log_normal_sigma with mean -20 .* ReferenceVE"):
        density(ReferenceVE(), "log_normal_sigma", times_mean=-20.0)


@pytest.mark.parametrize("scale", [-1.0, 0.0, 1.29, 1.75])
def test_mode_is_the_formula_of_the_paper(scale):
    """SD3, eq. 20: t = 1 - u - s (cos^2(pi u / 2) - 1 + u), which falls with u."""
    u = 1 - SHARES
    paper = 1 - u - scale * ((math.pi / 2 * u).cos() ** 2 - 1 + u)
    torch.testing.assert_close(Mode(0.0, 1.0, scale).quantile(SHARES), paper, rtol=0, atol=1e-14)


@pytest.mark.parametrize("times", [*TIMES, "discrete", "adaptive", "importance"])
def test_samples_have_the_distribution(process, times):
    """The largest gap between the two distribution functions, by Kolmogorov: p = 1e-6 at 2.7."""
    one = density(process, times)
    drawn = one.sample(4000, torch.Generator().manual_seed(0))
    values, counts = drawn.unique(return_counts=True)
    gap = (one.cdf(values) - counts.cumsum(0) / 4000).abs().max()
    assert float(gap) < 2.7 / 4000**0.5


@frozen
class Warped(Scheduler):
    """The straight path, run through at another pace: its time is not that of the reference."""

    def alpha(self, t):
        return 1 - t**2

    def sigma(self, t):
        return t**2


def test_log_normal_sigma_sees_noise_levels_and_not_times():
    one, other = (density(s, "log_normal_sigma") for s in (ReferenceFlow(), Warped()))
    torch.testing.assert_close(
        other.quantile(SHARES) ** 2, one.quantile(SHARES), rtol=1e-12, atol=1e-15
    )


@frozen
class OwnPace(Scheduler):
    """Variance exploding with the noise itself as time, and so with steps of equal ratio."""

    t_min, t_max = 0.01, 50.0

    def alpha(self, t):
        return torch.ones_like(t)

    def sigma(self, t):
        return t.clone()

    def spaced(self, first, last, count):
        return first * (last / first) ** torch.linspace(0, 1, count, dtype=torch.float64)


@pytest.mark.parametrize("times", ["uniform", "logit_normal", "mode"])
def test_a_process_is_seen_at_its_own_pace(times):
    """As the same process in a time of equal steps, up to straight lines between 1024 of them.

    Their ratio is 5000^(1/1024), 1.0084, and a chord of the exponential is off by an eighth of its
    square: 9e-6.
    """
    one, other = density(OwnPace(), times), density(ReferenceVE(), times)
    expected = 0.01 * 5000 ** other.quantile(SHARES)
    torch.testing.assert_close(one.quantile(SHARES), expected, rtol=1e-5, atol=0)


def test_discrete_levels_are_equal_to_the_process():
    levels = density(OwnPace(), "discrete", times_levels=5).sample(200, torch.Generator()).unique()
    assert levels.tolist() == pytest.approx([0.01 * 5000 ** (i / 5) for i in range(1, 6)])


@pytest.mark.parametrize("times", ["uniform", "logit_normal", "mode"])
def test_a_density_at_a_pace_is_the_slope_of_its_shares(times):
    process = OwnPace()
    one = density(process, times)
    torch.testing.assert_close(one.cdf(one.quantile(SHARES)), SHARES, rtol=0, atol=1e-12)
    edges = process.spaced(0.01, 50.0, 1025)
    found = total(one, edges)
    torch.testing.assert_close(found, one.cdf(edges).diff(), rtol=0, atol=1e-10)
    assert float(found.sum()) == pytest.approx(1, abs=1e-8)


def test_the_processes_are_those_that_the_comments_speak_of():
    levels = ReferenceVP().log_snr(ends(ReferenceVP()))
    assert float((-levels[0] / 2).exp()) == pytest.approx(1e-3, rel=0.01)
