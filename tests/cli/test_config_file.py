"""Configuration files beside flags: the same keys, and flags win."""

import json
import os
from pathlib import Path

import pytest

SMALL = ["--dataset", "toy2d", "--backbone", "mlp", "--dry-run", "--json"]


def _resolved(diffx, text, *flags):
    Path("run.yaml").write_text(text)
    result = diffx("train", "--config", "run.yaml", *SMALL, *flags)
    assert result.rc == 0, result.err
    return json.loads(result.out)["config"], result.err


def test_a_file_sets_what_flags_would(diffx):
    text = "scheduler: {name: vesde, sigma_max: 20}\ntrain:\n  lr: 1e-4\nema.decay: 0.5\nseed: 7\n"
    config, _ = _resolved(diffx, text)
    assert config["scheduler"] == {
        "name": "diffx-schedulers:vesde",
        "sigma_min": config["scheduler"]["sigma_min"],
        "sigma_max": 20.0,
    }
    assert (config["train"]["lr"], config["ema"]["decay"], config["seed"]) == (1e-4, 0.5, 7)


def test_flags_win(diffx):
    config, _ = _resolved(diffx, "train.lr: 1e-4\ntrain.steps: 5\n", "--train.lr", "0.5")
    assert (config["train"]["lr"], config["train"]["steps"]) == (0.5, 5)


def test_a_component_that_a_flag_replaces_takes_its_options_along(diffx):
    text = "scheduler: {name: vesde, sigma_max: 20}\n"
    config, err = _resolved(diffx, text, "--scheduler", "vpsde")
    assert config["scheduler"]["name"] == "diffx-schedulers:vpsde"
    assert "replaces vesde" in err


def test_a_component_named_again_keeps_the_options_of_the_file(diffx):
    text = "scheduler: {name: diffx-schedulers:vesde, sigma_max: 20}\n"
    config, err = _resolved(diffx, text, "--scheduler", "vesde")
    assert config["scheduler"]["sigma_max"] == 20.0
    assert "replaces" not in err


WRONG = {
    "unknown key": ("seed: 1\nsheduler: vesde\n", "run.yaml:2: sheduler: unknown option"),
    "unknown component": ("scheduler: vpsdee\n", "run.yaml:1: scheduler: unknown scheduler"),
    "unknown option": ("train:\n  lrr: 1\n", "run.yaml:2: train.lrr: section train has no option"),
    "component's option": ("scheduler.x: 1\n", "run.yaml:1: scheduler.x: vpsde (diffx-schedulers"),
    "type": ("train:\n\n  steps: 2.5\n", "run.yaml:3: train.steps: needs a whole number"),
    "text for a number": ("train.lr: fast\n", "run.yaml:1: train.lr: needs a number"),
    "range": ("train.lr: -1\n", "run.yaml:1: train.lr: must be > 0"),
    "name": ("scheduler: 3\n", "run.yaml:1: scheduler: needs the name of a scheduler, not 3"),
    "no name": ("scheduler:\n", "run.yaml:1: scheduler: needs the name"),
    "file in file": ("config: other.yaml\n", "run.yaml:1: config: a file cannot name another"),
    "duplicate": ("seed: 1\nseed: 2\n", "run.yaml:2: seed is given twice"),
    "tab": ("train:\n\tlr: 1\n", "run.yaml:2: "),
    "tag": ("seed: !!python/name:os.system x\n", "run.yaml:1: tags"),
    "alias": ("seed: &a 1\ntrain.steps: *a\n", "run.yaml:1: anchors"),
    "empty": ("", "run.yaml:1: is empty"),
    "list": ("- a\n", "run.yaml:1: needs 'key: value'"),
}


@pytest.mark.parametrize(("text", "reason"), WRONG.values(), ids=WRONG)
def test_a_mistake_in_a_file_is_answered_with_its_line(diffx, text, reason):
    Path("run.yaml").write_text(text)
    result = diffx("train", "--config", "run.yaml")
    assert result.rc == 2
    assert reason in result.err
    assert [path.name for path in Path.cwd().iterdir()] == ["run.yaml"]


def test_mistakes_in_flags_and_file_are_reported_together(diffx):
    Path("run.yaml").write_text("train.lrr: 1\nseed: x\n")
    result = diffx("train", "--config", "run.yaml", "--train.steps", "0", "--nonsense")
    assert len(result.err.splitlines()) == 4


@pytest.mark.parametrize("path", ["missing.yaml", "."], ids=["missing", "directory"])
def test_a_file_that_is_none_is_refused(diffx, path):
    result = diffx("train", "--config", path)
    assert result.rc == 2
    assert f"{path}: cannot be read" in result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(diffx):
    Path("run.yaml").write_text("seed: 1\n")
    Path("run.yaml").chmod(0)
    assert diffx("train", "--config", "run.yaml").rc == 2
