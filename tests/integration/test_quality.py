"""A model that was trained for a minute draws digits that a classifier of real ones recognises."""

import json

import pytest


@pytest.mark.slow
def test_digits_are_of_the_class_that_was_asked_for(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    short = "--train.steps", "240", "--device", "cpu", "--out", "run"
    trained = shell("diffx_cli", "train", "--recipe", "digits", *short)
    assert trained.returncode == 0, trained.stderr
    few = "--n", "300", "--repeats", "1", "--nfe", "10", "--metrics", "frechet"
    flags = "--guidance.scale", "2", "--device", "cpu", "--json"
    measured = shell("diffx_cli", "evaluate", "run", *few, *flags)
    assert measured.returncode == 0, measured.stderr
    found = json.loads(measured.stdout)
    assert found["label_accuracy"]["of_real"] > 0.97  # it knows the digits
    assert found["label_accuracy"]["mean"] >= 0.95
    (distance,) = found["figures"]
    assert distance["mean"] < 0.2 * distance["ceiling"]["mean"]
