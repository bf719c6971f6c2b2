"""Whenever training is killed in a save, the same command goes on as if nothing had happened."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("killed_training.py")
FILES = ("model.safetensors", "ema.safetensors", "training.safetensors")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of runs that were killed and went on; that of the one that was not killed."""
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, SCRIPT, folder, "2"], check=True, timeout=500)
    *killed, whole = (one / "run" for one in sorted(folder.iterdir()))
    return killed, whole


@pytest.fixture(scope="module")
def killed(runs):
    return runs[0]


@pytest.fixture(scope="module")
def whole(runs):
    return runs[1]


pytestmark = pytest.mark.slow


def test_training_was_killed_in_many_places(killed):
    assert len(killed) >= 20


def test_every_tensor_is_that_of_the_run_that_was_not_killed(killed, whole):
    for name in FILES:
        expected = load_file(whole / "checkpoints" / "step-00000004" / name)
        for run in killed:
            found = load_file(run / "checkpoints" / "step-00000004" / name)
            assert found.keys() == expected.keys()
            differing = [key for key, one in expected.items() if not torch.equal(found[key], one)]
            assert differing == []


def test_every_step_and_its_loss_is_written_down_once(killed, whole):
    def lines(run):
        text = (run / "metrics.jsonl").read_text()
        return [(one["step"], one["loss"]) for one in map(json.loads, text.splitlines())]

    assert [step for step, _ in lines(whole)] == [1, 2, 3, 4]
    for run in killed:
        assert lines(run) == lines(whole)


def test_nothing_is_left_but_the_last_and_the_one_that_it_went_on_from(killed, whole):
    def names(run):
        return {str(path.relative_to(run)) for path in run.rglob("*")}

    earlier = {name.replace("00000004", "00000002") for name in names(whole)} - names(whole)
    seen = [names(run) for run in killed]
    assert all(one in (names(whole), names(whole) | earlier) for one in seen)
    assert names(whole) | earlier in seen


def test_nobody_is_told_of_damage(killed):
    """What a kill leaves is no checkpoint, so none is passed over."""
    for run in killed:
        assert "an earlier checkpoint is used" not in (run.parent / "second.txt").read_text()
