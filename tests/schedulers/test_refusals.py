"""Options that make no process are refused by name, and all of them at once."""

import math

import pytest

from diffx_core import ConfigError
from diffx_schedulers.ddpm import DDPM
from diffx_schedulers.edm import EDM
from diffx_schedulers.logsnr import LogSNR
from diffx_schedulers.rectified_flow import RectifiedFlow
from diffx_schedulers.trigonometric import Cosine
from diffx_schedulers.ve import VE
from diffx_schedulers.vp import VP, SubVP

FLOATS = [
    (VP, "beta_min"),
    (VP, "beta_max"),
    (SubVP, "beta_min"),
    (VE, "sigma_min"),
    (VE, "sigma_max"),
    (EDM, "sigma_min"),
    (EDM, "sigma_max"),
    (RectifiedFlow, "shift"),
    (Cosine, "s"),
    (LogSNR, "shift"),
    (LogSNR, "log_snr_max"),
    (LogSNR, "log_snr_min"),
    (DDPM, "beta_start"),
    (DDPM, "beta_end"),
    (DDPM, "s"),
    (DDPM, "offset"),
]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("make", "option"), FLOATS)
def test_no_option_may_be_without_bounds(make, option, value):
    with pytest.raises(ValueError, match=option):
        make(**{option: value})


@pytest.mark.parametrize(
    ("make", "options", "named"),
    [
        (VP, {"beta_min": 21.0}, r"beta_min \(21\) must not exceed beta_max \(20\)"),
        (SubVP, {"beta_max": 0.01}, r"beta_min \(0.1\) must not exceed beta_max \(0.01\)"),
        (VP, {"beta_min": 0.0}, "'beta_min' must be > 0"),
        (VP, {"beta_max": 1e4}, r"beta_min \(0.1\) and beta_max \(10000\) must not exceed 200"),
        (VE, {"sigma_max": 1e200}, "'sigma_max' must be <= "),
        (VE, {"sigma_min": 60.0}, r"sigma_min \(60\) must be below sigma_max \(50\)"),
        (VE, {"sigma_min": -1.0}, "'sigma_min' must be > 0"),
        (EDM, {"sigma_min": 80.0}, r"sigma_min \(80\) must be below sigma_max \(80\)"),
        (EDM, {"sigma_min": 0.0}, "'sigma_min' must be > 0"),
        (RectifiedFlow, {"shift": 0.0}, "'shift' must be > 0"),
        (Cosine, {"s": 0.0}, "'s' must be > 0"),
        (LogSNR, {"curve": "cubic"}, "'curve' must be in .*'linear', 'cosine', 'sigmoid'"),
        (LogSNR, {"log_snr_max": -3.0, "log_snr_min": 3.0}, r"log_snr_max \(-3\) .*min \(3\)"),
        (LogSNR, {"curve": "linear", "log_snr_max": -6.0}, r"log_snr_max \(-6\) .*min \(-5\)"),
        (DDPM, {"T": 1}, "'T' must be >= 2"),
        (DDPM, {"table": "quartic"}, "'table' must be in .*'dnst'"),
        (DDPM, {"beta_start": 0.1}, r"beta_start \(0.1\) must not exceed beta_end \(0.02\)"),
        (DDPM, {"T": 10}, r"T \(10\) is too small for beta_end \(0.02\): .* largest beta is 2,"),
        (DDPM, {"beta_end": 0.9}, r"beta_end \(0.9\) is too large: abar would end at exp"),
        (DDPM, {"s": 0.1}, r"the table linear does not use s \(0.1\), which is for cosine"),
        (DDPM, {"table": "dnst", "offset": 3.0}, r"dnst does not use offset \(3\), .* for dns"),
    ],
)
def test_options_that_make_no_process_are_refused_by_name(make, options, named):
    with pytest.raises(ValueError, match=named):
        make(**options)


def test_every_problem_of_one_process_is_told():
    with pytest.raises(ConfigError) as refusal:
        DDPM(table="cosine", beta_start=0.5, beta_end=0.1, offset=5.0)
    assert [
        problem.split(" does not use ")[1].split()[0] for problem in refusal.value.problems
    ] == [
        "beta_start",
        "beta_end",
        "offset",
    ]
    with pytest.raises(ConfigError) as refusal:
        DDPM(s=0.1, beta_start=0.05)
    assert len(refusal.value.problems) == 2


def test_a_configuration_error_is_a_value_error():
    assert issubclass(ConfigError, ValueError)
