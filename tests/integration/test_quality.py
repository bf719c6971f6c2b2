"""A model that was trained for some seconds draws digits that a classifier of real ones knows."""

import json

import pytest

from diffx_cli.__main__ import main


@pytest.mark.slow
def test_digits_are_of_the_class_that_was_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    short = "--dataset.size", "8", "--train.steps", "180", "--device", "cpu", "--out", "run"
    assert main(["train", "--recipe", "digits", *short]) == 0
    capsys.readouterr()
    few = "--n", "300", "--repeats", "1", "--nfe", "10", "--metrics", "frechet"
    flags = "--guidance.scale", "2", "--device", "cpu", "--json"
    assert main(["evaluate", "run", *few, *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["label_accuracy"]["of_real"] > 0.97  # it knows the digits
    assert found["label_accuracy"]["mean"] >= 0.95
    (distance,) = found["figures"]
    assert distance["mean"] < 0.2 * distance["ceiling"]["mean"]
    assert found["memorisation"]["copied"]["mean"] < 0.05  # it has not learned them by heart
