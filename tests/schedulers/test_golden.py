"""The processes are those of the literature: numbers that were computed elsewhere.

Digits as they were given: a number of ten digits is held to 1e-9, a shorter one to its last digit.
"""

import pytest
import torch

from diffx_samplers.ddim import DDIM
from diffx_schedulers.ddpm import DDPM
from diffx_schedulers.edm import EDM
from diffx_schedulers.trigonometric import Cosine
from diffx_schedulers.vp import VP, SubVP


def at(value):
    return torch.tensor(value, dtype=torch.float64)


def quantity(process, t, name):
    alpha, sigma = float(process.alpha(at(t))), float(process.sigma(at(t)))
    return {"alpha": alpha, "sigma": sigma, "kappa": sigma / alpha, "abar": alpha**2}[name]


@pytest.mark.parametrize(
    ("process", "t", "name", "golden", "rel"),
    [
        (VP(), 0.5, "alpha", 0.2811828807967524, 1e-12),
        (VP(), 0.5, "sigma", 0.9596542020680363, 1e-12),
        (VP(), 0.5, "kappa", 3.41291830906912, 1e-12),
        (VP(), 1.0, "alpha", 0.006571586494929619, 1e-12),
        (VP(), 1.0, "kappa", 152.1669702839464, 1e-12),
        (VP(), 1e-3, "kappa", 0.010485992786702987, 1e-12),
        (SubVP(), 1.0, "alpha", 0.0065716, 1e-5),
        (SubVP(), 1.0, "sigma", 0.9999568, 1e-7),
        (SubVP(), 1e-3, "sigma", 1.0995e-4, 1e-4),
        (SubVP(), 1e-5, "sigma", 1.001e-6, 1e-3),
        (Cosine(), 0.5, "abar", 0.4938435904, 1e-9),
    ],
)
def test_golden_values_in_continuous_time(process, t, name, golden, rel):
    assert quantity(process, t, name) == pytest.approx(golden, rel=rel)


def test_golden_times_of_edm():
    golden = """
        80 57.585984721 40.785573797 28.374584604 19.352452980 12.910082381 8.4009353091
        5.3151945218 3.2568215198 1.9233398370 1.0881706365 .58534812319 .29644228448 .13951646873
        .059947311235 .022934518372 .0075280199628 .002
    """
    times = DDIM(steps=17, grid="karras").times(EDM(), 80.0)
    assert times.tolist() == pytest.approx([float(word) for word in golden.split()], rel=1e-9)


STABLE = DDPM(table="scaled_linear", beta_start=0.00085, beta_end=0.012)
ZERO = DDPM(zero_terminal_snr=True)
DNS, DNST = DDPM(table="dns"), DDPM(table="dnst")


@pytest.mark.parametrize(
    ("process", "i", "name", "golden", "rel"),
    [
        (DDPM(), 0, "abar", 0.9999, 1e-12),
        (DDPM(), 499, "abar", 0.07858724288, 1e-9),
        (DDPM(), 999, "abar", 4.035830e-05, 1.3e-7),
        (DDPM(), 0, "kappa", 0.0100005, 5e-6),
        (DDPM(), 999, "kappa", 157.407, 4e-6),
        (DDPM(table="cosine"), 499, "abar", 0.4938435904, 1e-9),
        (DDPM(table="cosine"), 999, "abar", 2.428767e-09, 2.1e-7),
        (DDPM(table="sigmoid"), 499, "abar", 0.3019310566, 1e-9),
        (DDPM(table="sigmoid"), 999, "abar", 3.968182e-05, 1.3e-7),
        (STABLE, 999, "kappa", 14.6146, 4e-6),
        (ZERO, 0, "abar", 0.9999, 1e-12),
        (ZERO, 499, "abar", 0.07602875054711475, 1e-9),
        (ZERO, 999, "abar", 0.0, 0.0),
        (DNS, 499, "abar", 0.4094343944, 1e-9),
        (DNS, 999, "abar", 1.131826e-3, 4.5e-7),
        (DNS, 999, "alpha", 0.033643, 1.5e-5),
        (DNS, 999, "kappa", 29.71, 2e-4),
        (DNST, 0, "kappa", 0.0714, 7e-4),
        (DNST, 999, "abar", 7.750990e-6, 7e-8),
    ],
)
def test_golden_values_of_the_tables(process, i, name, golden, rel):
    found = quantity(process, (i + 1) / 1000, name) if golden else float(process.alpha(at(1.0)))
    assert found == pytest.approx(golden, rel=rel, abs=0)


@pytest.mark.parametrize(
    ("process", "i", "golden", "rel"),
    [
        (DDPM(), 0, 1e-4, 1e-12),
        (DDPM(), 999, 0.02, 1e-12),
        (DDPM(table="cosine"), 0, 4.128422482e-05, 1e-9),
        (DDPM(table="cosine"), 999, 0.999, 0.0),
        (DNS, 0, 1.004915833e-4, 1e-9),
        (DNS, 999, 0.0199209534, 2.6e-9),
        (DNST, 0, 0.005070028729, 1e-9),
    ],
)
def test_golden_betas(process, i, golden, rel):
    assert float(process.betas[i]) == pytest.approx(golden, rel=rel, abs=0)


@pytest.mark.parametrize(
    ("process", "total", "rel"),
    [(DDPM(), 10.05, 1e-12), (DNS, 6.74333, 8e-7), (DNST, 11.6893, 5e-6)],
)
def test_golden_sums_of_betas(process, total, rel):
    assert float(process.betas.sum()) == pytest.approx(total, rel=rel)


def test_golden_distance_between_the_linear_table_and_the_sde_that_it_approximates():
    t = DDPM().grid()
    apart = (DDPM().alpha(t) ** 2 - VP().alpha(t) ** 2).abs().max()
    assert float(apart) == pytest.approx(8.1e-4, rel=0.05)


def test_the_terminal_log_snr_of_dns():
    assert float(DNS.log_snr(at(1.0))) == pytest.approx(-6.7828, abs=5e-5)
