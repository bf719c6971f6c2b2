"""The objective from the command line: what it takes, what it refuses, what a run remembers."""

from pathlib import Path

import pytest

from diffx_core.pipeline import Pipeline
from diffx_core.plugins import Registry

QUICK = (
    *("--dataset", "toy2d", "--dataset.points", "64", "--backbone", "mlp"),
    *("--backbone.width", "16", "--backbone.depth", "1"),
    *("--train.steps", "3", "--train.batch_size", "8"),
)


@pytest.mark.parametrize(
    "flags",
    [
        ("--objective.weighting", "likelihood", "--objective.times", "adaptive"),
        ("--objective.prediction", "x0", "--objective.gamma", "3"),
        ("--objective.times", "discrete", "--objective.times_levels", "10"),
        ("--objective.loss", "huber", "--objective.uncertainty", "true"),
        ("--objective.times", "mode", "--objective.low_discrepancy", "false"),
    ],
    ids=" ".join,
)
def test_every_choice_trains(diffx, flags):
    done = diffx("train", *QUICK, *flags)
    assert done.rc == 0, done.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--objective.gamma", "3"), "gamma is 3.0, but weighting=edm does not use it"),
        (("--objective.weighting", "min_snr", "--objective.gamma", "0"), "--objective.gamma"),
        (("--objective.weighting", "best"), "--objective.weighting"),
        (
            ("--objective.times_mean", "-30"),
            "log_normal_sigma with mean -29",
        ),
        (
            (
                "--scheduler",
                "ddpm",
                "--objective.times",
                "discrete",
                "--objective.times_levels",
                "7",
            ),
            "times_levels is 7, but DDPM has 1000 levels of its own",
        ),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(diffx, flags, message):
    done = diffx("train", *QUICK, *flags)
    assert done.rc == 2
    assert message in done.err
    assert not Path("runs").exists()


def test_sigma_data_is_measured_unless_somebody_says_it(diffx):
    for flags in ((), ("--objective.sigma_data", "0.3")):
        assert diffx("train", *QUICK, *flags).rc == 0
    measured, said = (
        Pipeline.load(folder, Registry.load({})) for folder in sorted(Path("runs").glob("0*"))
    )
    assert measured.denoiser.sigma_data == measured.spec.sigma_data
    assert said.denoiser.sigma_data == 0.3
    assert said.spec.sigma_data == measured.spec.sigma_data
