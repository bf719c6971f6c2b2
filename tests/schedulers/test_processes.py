"""The noise processes obey every law, right up to their ends, and are related as they should be."""

import math

import pytest
import torch

from diffx_core import Scheduler
from diffx_core.testing import SchedulerSuite
from diffx_samplers.ddim import DDIM
from diffx_schedulers.edm import EDM
from diffx_schedulers.logsnr import LogSNR
from diffx_schedulers.rectified_flow import RectifiedFlow
from diffx_schedulers.trigonometric import GVP, Cosine
from diffx_schedulers.ve import VE
from diffx_schedulers.vp import VP, SubVP


class TestEveryProcess(SchedulerSuite):
    @pytest.fixture(autouse=True)
    def subject(self, process):
        self.process = process

    def component(self) -> Scheduler:
        return self.process


def at(*values):
    return torch.tensor(values, dtype=torch.float64)


INSIDE = torch.linspace(0, 1, 102, dtype=torch.float64)[1:-1]


def close(found, expected, rel):
    assert torch.allclose(found, expected, rtol=rel, atol=0), (found - expected).abs().max()


SINGULAR = [
    RectifiedFlow(),
    RectifiedFlow(shift=5.0),
    Cosine(),
    GVP(),
    LogSNR(),
    LogSNR(shift=-3.0),
    LogSNR(curve="sigmoid"),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("process", SINGULAR, ids=str)
def test_there_is_exactly_no_noise_at_one_end_and_exactly_no_data_at_the_other(process, dtype):
    ends = torch.tensor([0.0, 1.0], dtype=dtype)
    one = 2 * torch.finfo(dtype).eps
    assert process.alpha(ends).tolist() == [pytest.approx(1.0, abs=one), 0.0]
    assert process.sigma(ends).tolist() == [0.0, pytest.approx(1.0, abs=one)]
    assert process.log_snr(ends).tolist() == [math.inf, -math.inf]
    assert process.time_of(torch.tensor([math.inf, -math.inf], dtype=dtype)).tolist() == [0.0, 1.0]


def test_no_process_is_negative_or_loses_digits_in_single_precision_anywhere(process):
    length = process.t_max - process.t_min
    near = torch.logspace(-6, 0, 61) * length
    t = torch.cat([process.t_min + near, (process.t_max - near).clamp(min=process.t_min)])
    t = t.clamp(max=process.t_max)  # its rounding may be beyond the end
    for of in (process.alpha, process.sigma):
        single, double = of(t), of(t.double())
        assert (single >= 0).all()
        assert single.dtype == torch.float32
        close(single.double(), double, 1e-5)


def test_a_time_near_the_data_is_found_as_precisely_as_it_is_known(process):
    t = process.t_min + torch.logspace(-6, -1, 31, dtype=torch.float64) * process.t_max
    close(process.time_of(process.log_snr(t)), t, 1e-8)


def test_rates_hold_at_the_very_ends(process):
    # A difference over h is off by its own size in the worst case, that of a power sqrt(t).
    h = 1e-9 * (process.t_max - process.t_min)
    ends, inward = at(process.t_min, process.t_max), at(h, -h)
    for of, rate in (
        (process.alpha, process.alpha_rate),
        (process.sigma, process.sigma_rate),
    ):
        slopes = ((of(ends + inward) - of(ends)) / inward).tolist()
        for slope, exact in zip(slopes, rate(ends).tolist(), strict=True):
            if math.isinf(exact):
                assert abs(slope) > 1e2
                assert math.copysign(1, slope) == math.copysign(1, exact)
            else:
                rounding = 4 * 2**-52 * max(1.0, process.prior_std()) / h
                assert slope == pytest.approx(exact, rel=1e-3, abs=rounding)


def test_vp_is_the_sde_of_the_literature():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    beta = 0.1 + 19.9 * t
    close(VP().drift(t), -beta / 2, 1e-15)
    close(VP().diffusion(t), beta.sqrt(), 1e-15)
    assert float(VP().integral(at(1.0))) == pytest.approx(10.05, rel=1e-15)


def test_the_deviation_of_sub_vp_is_the_variance_of_vp():
    close(SubVP().sigma(INSIDE), VP().sigma(INSIDE) ** 2, 1e-12)
    assert (SubVP().sigma(INSIDE) < VP().sigma(INSIDE)).all()


def test_sub_vp_is_the_sde_of_the_literature():
    beta = VP().beta(INSIDE)
    discount = 1 - (-2 * 0.1 * INSIDE - 19.9 * INSIDE**2).exp()  # exp(-2B), not exp(-B)
    close(SubVP().diffusion(INSIDE) ** 2, beta * discount, 1e-12)
    close(SubVP().alpha(INSIDE), VP().alpha(INSIDE), 0)


def test_ve_starts_at_its_smallest_noise_and_ends_at_its_largest():
    ends = VE(sigma_min=0.02, sigma_max=100.0).sigma(at(0.0, 1.0))
    assert ends.tolist() == pytest.approx([0.02, 100.0], rel=1e-14)


def test_ve_diffusion_is_geometric():
    expected = 0.01 * 5000**INSIDE * math.sqrt(2 * math.log(5000))
    close(VE().diffusion(INSIDE), expected, 1e-13)


def test_edm_is_told_its_level_on_a_scale_from_0_to_1000():
    process = EDM(sigma_min=0.01, sigma_max=100.0)
    labels = process.noise_label(at(0.01, 0.1, 1.0, 10.0, 100.0))
    assert labels.tolist() == pytest.approx([0, 250, 500, 750, 1000], rel=1e-14)


def test_a_uniform_grid_of_edm_has_equal_steps_in_log_sigma():
    process = EDM()
    times = DDIM(steps=30).times(process, process.t_max)
    assert (float(times[0]), float(times[-1])) == (process.t_max, process.t_min)
    step = math.log(process.sigma_min / process.sigma_max) / 30
    close(times.log().diff(), torch.full((30,), step, dtype=torch.float64), 1e-13)


def test_a_shift_of_rectified_flow_multiplies_its_noise_ratio():
    for shift in (0.2, 3.0):
        plain, shifted = RectifiedFlow(), RectifiedFlow(shift=shift)
        ratio = shifted.sigma(INSIDE) / shifted.alpha(INSIDE)
        close(ratio, shift * plain.sigma(INSIDE) / plain.alpha(INSIDE), 1e-14)
        close(shifted.alpha(INSIDE) + shifted.sigma(INSIDE), torch.ones_like(INSIDE), 1e-15)


def test_one_level_of_rectified_flow_has_one_label_under_every_shift():
    levels = at(9.0, 2.0, 0.0, -2.0, -9.0)
    labels = [
        process.noise_label(process.time_of(levels))
        for process in (RectifiedFlow(), RectifiedFlow(shift=3.0))
    ]
    close(labels[0], labels[1], 1e-13)


def test_gvp_is_the_limit_of_cosine_and_the_cosine_curve():
    for of in ("alpha", "sigma", "log_snr", "drift", "diffusion"):
        expected = getattr(GVP(), of)(INSIDE)
        rounding = 1e-13 if of != "log_snr" else 1e-10  # which is 0 halfway
        assert torch.allclose(getattr(LogSNR(), of)(INSIDE), expected, rtol=1e-12, atol=rounding)
        # s moves the angle by pi/2 s, and its share of the angle at t = .01 is s / t
        near = getattr(Cosine(s=1e-10), of)(INSIDE)
        assert torch.allclose(near, expected, rtol=1e-7, atol=1e-8)


def test_a_shift_moves_the_log_snr_and_nothing_else():
    for curve in ("linear", "cosine", "sigmoid"):
        plain, shifted = LogSNR(curve=curve), LogSNR(curve=curve, shift=-2.5)
        moved = plain.log_snr(INSIDE) - 2.5
        assert torch.allclose(shifted.log_snr(INSIDE), moved, rtol=0, atol=1e-13)
        close(shifted.alpha(INSIDE) ** 2, moved.sigmoid(), 1e-13)
        close(shifted.log_snr_rate(INSIDE), plain.log_snr_rate(INSIDE), 0)


def test_the_sigmoid_curve_is_the_gamma_of_its_paper():
    def sig(z):
        return 1 / (1 + (-z).exp())

    start, end = at(-3.0), at(3.0)
    gamma = (sig(end) - sig(INSIDE * 6 - 3)) / (sig(end) - sig(start))
    close(LogSNR(curve="sigmoid").alpha(INSIDE) ** 2, gamma, 1e-12)


@pytest.mark.parametrize("curve", ["linear", "cosine", "sigmoid"])
def test_a_curve_keeps_to_its_range(curve):
    process = LogSNR(curve=curve, log_snr_max=9.0, log_snr_min=-7.0)
    assert process.log_snr(at(0.0, 1.0)).tolist() == pytest.approx([9.0, -7.0], rel=1e-13)


def test_a_cut_cosine_is_the_straight_angle_of_its_paper():
    # Kingma & Gao, arXiv:2303.00848: lambda = -2 log tan(a t + b)
    low, high = math.atan(math.exp(-9 / 2)), math.atan(math.exp(7 / 2))
    expected = -2 * ((high - low) * INSIDE + low).tan().log()
    found = LogSNR(log_snr_max=9.0, log_snr_min=-7.0).log_snr(INSIDE)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)


RATES = ("alpha_rate", "sigma_rate", "drift", "diffusion")


@pytest.mark.parametrize("rate", RATES)
def test_rates_agree_in_single_precision(process, rate):
    """Relative to the value and a thousandth of its mean, between the ends."""
    margin = 1e-3 * (process.t_max - process.t_min)
    t = torch.linspace(process.t_min + margin, process.t_max - margin, 999).float()
    found, expected = getattr(process, rate)(t).double(), getattr(process, rate)(t.double())
    scale = expected.abs() + 1e-3 * expected.abs().mean() + 1e-30
    assert float(((found - expected).abs() / scale).max()) < 1e-5


@pytest.mark.parametrize("rate", RATES)
def test_rates_are_defined_at_both_ends(process, rate):
    assert not getattr(process, rate)(at(process.t_min, process.t_max)).isnan().any()


def test_the_sde_of_a_curve_has_its_limit_where_there_is_no_noise():
    cosine, sigmoid, start, after = LogSNR(), LogSNR(curve="sigmoid"), at(0.0), at(1e-9)
    assert (float(cosine.drift(start)), float(cosine.diffusion(start))) == (0, 0)
    close(sigmoid.drift(start), sigmoid.drift(after), 1e-8)
    close(sigmoid.diffusion(start), sigmoid.diffusion(after), 1e-8)
