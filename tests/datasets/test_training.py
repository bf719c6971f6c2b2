"""Training from the command line on images of one's own."""

import json

import numpy as np
import pytest
from PIL import Image

from diffx_cli.__main__ import main
from diffx_core.engine.checkpoint import load_checkpoint

QUICK = ["--train.steps", "2", "--train.batch_size", "4"]


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for k in range(8):
        path = tmp_path / "images" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return tmp_path / "images"


def train(folder, *more):
    words = ["--dataset", "image_folder", "--dataset.root", str(folder), "--dataset.size", "8"]
    return main(["train", *words, *more])


def test_a_run_knows_the_facts_about_its_images(folder, tmp_path):
    out = tmp_path / "run"
    assert train(folder, "--dataset.flip", "true", "--out", str(out), *QUICK) == 0
    spec = load_checkpoint(out).record["spec"]
    assert (spec["shape"], spec["num_classes"]) == ([3, 8, 8], 2)
    assert main(["sample", str(out), "--n", "2", "--steps", "2", "--out", str(tmp_path / "s")]) == 0


def test_flips_change_what_is_learned_and_the_same_seed_learns_the_same(folder, tmp_path):
    losses = []
    for k, flip in enumerate(("true", "true", "false")):
        out = tmp_path / str(k)
        assert train(folder, "--dataset.flip", flip, "--out", str(out), *QUICK) == 0
        lines = (out / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines if "loss" in line])
    assert losses[0] == losses[1] != losses[2]


def test_a_bad_file_ends_the_run_before_there_is_a_folder(folder, tmp_path, capsys):
    (folder / "a" / "bad.png").write_text("hello")
    assert train(folder, "--out", str(tmp_path / "run")) == 4
    error = capsys.readouterr().err
    assert "bad.png: is not an image" in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_a_missing_folder_is_a_data_error(tmp_path, capsys):
    assert train(tmp_path / "none") == 4
    assert "none is not a folder" in capsys.readouterr().err


def test_without_a_root_the_option_is_named(capsys):
    assert main(["train", "--dataset", "image_folder"]) == 2
    assert "root" in capsys.readouterr().err
