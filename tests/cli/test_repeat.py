"""A run is done again from its folder alone: in another process, by another command line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

FIRST = (
    *("train", "--recipe", "digits", "--preset", "tiny", "--backbone.dropout", "0.1"),
    *("--train.steps", "3", "--train.batch-size", "16", "--ema.decay", "0.5", "--seed", "7"),
    *("--device", "cpu", "--out", "first"),
)
CHECKPOINT = "checkpoints/step-00000003"


@pytest.mark.slow
def test_the_configuration_of_a_run_gives_equal_weights_elsewhere(shell, tmp_path):
    done = shell("diffx_cli", *FIRST)
    assert done.returncode == 0, done.stderr
    first = tmp_path / "shell" / "first"
    facts = json.loads((first / "env.json").read_text())
    assert facts["argv"][1:] == list(FIRST)
    assert facts["working_folder"] == str(tmp_path / "shell")

    kept = tmp_path / "kept.yaml"
    shutil.copy(first / "config.yaml", kept)
    again = tmp_path / "elsewhere" / "again"
    done = shell(
        "diffx_cli", "train", "--config", str(kept), "--device", "cpu", "--out", str(again)
    )
    assert done.returncode == 0, done.stderr
    assert (again / "config.yaml").read_text() == (first / "config.yaml").read_text()
    for name in ("model", "ema"):
        one, other = (load_file(run / CHECKPOINT / f"{name}.safetensors") for run in (first, again))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_the_configuration_of_a_run_names_neither_recipe_nor_preset(diffx):
    assert diffx(*FIRST).rc == 0
    keys = {line.partition(":")[0] for line in Path("first/config.yaml").read_text().splitlines()}
    assert {"scheduler", "backbone", "dataset", "train", "seed"} <= keys
    assert not {"recipe", "preset"} & keys
