"""`diffx describe objective`: the defaults of a prediction, as training uses them."""

import json

import pytest

from diffx_core import ObjectiveOptions
from diffx_core.options import DEFAULTS


def test_every_prediction_is_listed_with_its_defaults_and_who_found_them(diffx):
    out = " ".join(diffx("describe", "objective").out.split())
    for name, default in DEFAULTS.items():
        assert f"{name} {default.weighting} {default.times} {default.reference[:20]}" in out


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_described_is_what_is_trained(diffx, name):
    described = json.loads(diffx("describe", "objective", name, "--json").out)
    used = ObjectiveOptions(prediction=name).resolved()
    assert described["prediction"] == name
    assert described["reference"] == DEFAULTS[name].reference
    for key in ("weighting", "times", "loss"):
        assert described[key] == getattr(used, key)
        for parameter, value in described["parameters"].get(key, {}).items():
            assert getattr(used, parameter) == value


def test_a_parameter_is_shown_beside_what_uses_it(diffx):
    assert "min_snr (gamma 5" in diffx("describe", "objective", "x0").out
    assert "log_normal_sigma (times_mean -1.2, times_std 1.2)" in (
        diffx("describe", "objective", "edm").out
    )


def test_all_of_them_as_json_are_a_list(diffx):
    described = json.loads(diffx("describe", "objective", "--json").out)
    assert [one["prediction"] for one in described] == list(DEFAULTS)
    assert json.loads(diffx("describe", "objective", "v", "--json").out) in described


def test_every_option_of_an_objective_is_shown_with_its_choices(diffx):
    out = diffx("describe", "objective", "edm").out
    assert "--objective.gamma FLOAT" in out
    assert "truncated_snr, min_snr" in " ".join(out.split())


def test_no_line_is_longer_than_a_page(diffx):
    assert max(map(len, diffx("describe", "objective", "edm").out.splitlines())) <= 100


def test_an_unknown_prediction_gets_the_nearest(diffx):
    result = diffx("describe", "objective", "edn")
    assert result.rc == 2
    assert "did you mean edm?" in result.err


def test_a_component_needs_a_name(diffx):
    result = diffx("describe", "backbone")
    assert result.rc == 2
    assert "--name: is required" in result.err
    assert "unet" in result.err
