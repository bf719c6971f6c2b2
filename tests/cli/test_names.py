"""A name that is wrong: exit code 2, a suggestion, and nothing on disk."""

from pathlib import Path

import pytest

WRONG = {
    "flag": (["train", "--sheduler", "vesde"], "did you mean --scheduler?"),
    "flag without its section": (["train", "--lr", "1e-3"], "did you mean --train.lr?"),
    "section": (["train", "--trian.lr", "1"], "did you mean --train.lr?"),
    "option of a section": (["train", "--train.lrr", "1"], "did you mean lr?"),
    "component": (["train", "--scheduler", "vpsdee"], "'vpsde'"),
    "component of another kind": (["train", "--scheduler", "dit"], "is a backbone"),
    "option of a component": (
        ["train", "--scheduler.beta_mx", "20"],
        "vpsde (diffx-schedulers 0.1.0) has no option beta_mx; did you mean beta_max",
    ),
    "command": (["trian"], "did you mean train?"),
    "nonsense": (["--seed", "1", "train"], "the command comes first"),
    "help for nothing": (["help", "trian"], "did you mean train?"),
    "sampler": (["sample", "--sampler", "dddim"], "'ddim'"),
    "option of another command": (["train", "--guidance.scale", "2"], "unknown option"),
    "kind": (["list-plugins", "--kind", "schedulers"], "needs one of scheduler, backbone"),
    "described component": (["describe", "scheduler", "vesdee"], "'vesde'"),
    "described kind": (["describe", "shceduler", "vesde"], "needs one of scheduler"),
    "checked component": (["check-plugin", "vpsdee"], "did you mean 'vpsde'?"),
    "checked distribution": (["check-plugin", "diffx-sampler"], "did you mean 'diffx-samplers'?"),
    "checked component of another kind": (
        ["check-plugin", "vpsde", "--kind", "sampler"],
        "'vpsde' is a scheduler",
    ),
    "word that is missing": (["describe", "scheduler"], "--name: is required"),
    "words that are missing": (
        ["describe"],
        "--kind: is required: what it is: the kind of a component, or objective (scheduler, ",
    ),
    "option of two words": (["sample", "--batch-sizee", "8"], "did you mean --batch-size?"),
    "option of two words that is missing": (["ema", "runs"], "--sigma-rel: is required"),
    "described objective": (["describe", "objective", "edn"], "did you mean edm?"),
}


@pytest.mark.parametrize(("arguments", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_name_is_answered_and_does_nothing(diffx, arguments, reason):
    result = diffx(*arguments)
    assert result.rc == 2
    assert reason in result.err
    assert not result.out
    assert list(Path.cwd().iterdir()) == []


def test_the_options_of_a_component_are_listed_when_one_is_wrong(diffx):
    assert "(it has beta_min, beta_max)" in diffx("train", "--scheduler.beta_mx", "20").err


def test_mistakes_of_every_sort_are_reported_together(diffx):
    result = diffx(
        *("train", "--train.steps", "20.7", "--train.lr", "-1", "--sede", "3", "--seed", "x"),
        *("--scheduler", "vesde", "--scheduler.sigma_mx", "3", "--scheduler.sigma_min", "abc"),
        *("--backbone.nope", "1", "--dataset", "digitz", "--ema.decay", "1"),
    )
    assert result.rc == 2
    assert [line.split(": ")[2] for line in result.err.splitlines()] == [
        "--sede",
        "--seed",
        "--train.steps",
        "--train.lr",
        "--ema.decay",
        "unknown dataset 'digitz'",
        "--scheduler.sigma_mx",
        "--scheduler.sigma_min",
        "--backbone.nope",
    ]


def test_an_option_and_its_other_spelling_exclude_each_other(diffx):
    result = diffx(
        "sample", "--steps", "3", "--sampler.steps", "4", "--label", "1", "--labels", "2"
    )
    assert result.rc == 2
    assert "--sampler.steps: is the same as --steps" in result.err
    assert "--label and --labels exclude each other" in result.err


def test_another_spelling_keeps_its_name_in_messages(diffx):
    assert "--steps: must be >= 1, got 0" in diffx("sample", "--steps", "0").err
