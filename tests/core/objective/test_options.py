"""Options of the objective: what auto means, and what is refused."""

from typing import get_args

import pytest

from diffx_core import ConfigError
from diffx_core.options import (
    DEFAULTS,
    PARAMETERS,
    LossName,
    ObjectiveOptions,
    PredictionName,
    TimesName,
    WeightingName,
)

LITERATURE = {
    "eps": ("uniform", "uniform"),
    "score": ("uniform", "uniform"),
    "x0": ("min_snr", "uniform"),
    "v": ("snr", "uniform"),
    "flow": ("flow", "logit_normal"),
    "edm": ("edm", "log_normal_sigma"),
}


@pytest.mark.parametrize("prediction", get_args(PredictionName))
def test_auto_is_what_the_literature_found_for_the_prediction(prediction):
    options = ObjectiveOptions(prediction=prediction).resolved()
    assert (options.weighting, options.times) == LITERATURE[prediction]
    assert "arXiv:" in DEFAULTS[prediction].reference


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"weighting": "min_snr"}, {"gamma": 5.0}),
        ({"weighting": "p2"}, {"gamma": 1.0}),
        ({"weighting": "sigmoid"}, {"bias": 2.0}),
        ({"times": "logit_normal"}, {"times_mean": 0.0, "times_std": 1.0}),
        ({"times": "log_normal_sigma"}, {"times_mean": -1.2, "times_std": 1.2}),
        ({"times": "mode"}, {"times_scale": 1.29}),
        ({"times": "discrete"}, {"times_levels": 1000}),
        ({"times": "adaptive"}, {"times_base": "uniform"}),
        ({"times": "adaptive", "times_base": "mode"}, {"times_scale": 1.29}),
        ({"loss": "huber"}, {"huber_scale": 0.00054}),
    ],
    ids=str,
)
def test_resolved_options_have_a_number_for_every_parameter_in_use(choice, expected):
    options = ObjectiveOptions(prediction="eps", **choice).resolved()
    assert {name: getattr(options, name) for name in expected} == expected
    assert options == options.resolved()


def test_what_was_given_stays():
    options = ObjectiveOptions(weighting="min_snr", gamma=3.0, times="mode", times_scale=0.5)
    assert options.resolved().gamma == 3.0
    assert options.resolved().times_scale == 0.5
    assert options.resolved().weighting == "min_snr"


def test_auto_can_be_asked_for_another_prediction():
    assert ObjectiveOptions().resolved("v").weighting == "snr"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gamma": 2.0}, "gamma is 2.0, but weighting=edm does not use it"),
        ({"weighting": "snr", "bias": 1.0}, "bias is 1.0, but weighting=snr does not use it"),
        ({"times_scale": 1.0}, "times_scale is 1.0, but times=log_normal_sigma does not use it"),
        ({"times": "mode", "times_mean": 0.0}, "times_mean is 0.0, but times=mode does not"),
        ({"times": "uniform", "times_base": "mode"}, "times_base is mode, but times=uniform"),
        ({"times": "adaptive", "times_std": 2.0}, "times_std is 2.0, but times=adaptive does not"),
        ({"huber_scale": 0.1}, "huber_scale is 0.1, but loss=l2 does not use it: only loss=huber"),
    ],
    ids=str,
)
def test_an_option_that_the_choice_does_not_use_is_refused_with_both_names(given, message):
    with pytest.raises(ConfigError) as caught:
        ObjectiveOptions(**given)
    assert message in str(caught.value)


def test_all_unused_options_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        ObjectiveOptions(gamma=1.0, bias=1.0, huber_scale=1.0)
    assert [line.partition(" ")[0] for line in caught.value.problems] == [
        *("bias", "gamma", "huber_scale")
    ]


@pytest.mark.parametrize("name", ["prediction", "weighting", "times", "times_base", "loss"])
def test_an_unknown_choice_is_refused_with_those_there_are(name):
    with pytest.raises(ConfigError, match=f"unknown {name} 'nonsense': choose from .*, "):
        ObjectiveOptions(**{name: "nonsense"})


@pytest.mark.parametrize(
    "given",
    [
        {"weighting": "min_snr", "gamma": 0.0},
        {"weighting": "sigmoid", "bias": float("nan")},
        {"times": "logit_normal", "times_mean": float("inf")},
        {"times": "logit_normal", "times_std": -1.0},
        {"times": "mode", "times_scale": 1.8},
        {"times": "mode", "times_scale": -1.1},
        {"times": "discrete", "times_levels": 0},
        {"loss": "huber", "huber_scale": 0.0},
        {"sigma_data": 0.0},
        {"sigma_data": float("nan")},
        {"sigma_data": 1e300},
        {"loss": "huber", "huber_scale": 1e300},
        {"times": "discrete", "times_levels": 10**9},
        {"weighting": "p2", "gamma": 1e6},
        {"weighting": "sigmoid", "bias": -1e6},
        {"label_dropout": 1.0},
    ],
    ids=str,
)
def test_a_number_out_of_range_is_refused_by_name(given):
    with pytest.raises(ValueError, match=[*given][-1]):
        ObjectiveOptions(**given)


def test_every_parameter_belongs_to_a_choice_that_exists():
    names = {"weighting": WeightingName, "times": TimesName, "loss": LossName}
    for choice in PARAMETERS:
        kind, _, name = choice.partition("=")
        assert name in get_args(names[kind])
