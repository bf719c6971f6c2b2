"""A run remembers its text encoder, by name, options and files."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="it writes the files of the encoder")

from PIL import Image

from diffx_cli.__main__ import main

DATA = ["--dataset", "image_folder", "--dataset.root", "photos", "--dataset.captions", "jsonl"]
SMALL = ["--dataset.size=8", "--backbone", "dit", "--backbone.width=16", "--backbone.depth=1"]
SHORT = ["--backbone.heads=1", "--train.steps=2", "--train.batch-size=4", "--out", "run"]
SAMPLE = ["sample", "run", "--n", "2", "--nfe", "2", "--prompt", "a red wall"]


@pytest.fixture
def diffx(tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    (home / "photos").mkdir(parents=True)
    monkeypatch.chdir(home)
    rows = []
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(home / "photos" / f"{colour}.png")
        rows.append({"file_name": f"{colour}.png", "text": f"a {colour} wall"})
    (home / "photos" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def run(*arguments):
        capsys.readouterr()
        code = main(arguments)
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def trained(diffx, clip):
    shutil.copytree(clip, "encoder")
    text = ["--text", "clip", "--text.root", "encoder", "--text.length", "20"]
    code, said = diffx("train", *DATA, *SMALL, *SHORT, *text)
    assert code == 0, said
    return diffx


def test_a_run_is_sampled_with_the_encoder_it_was_trained_with(trained, monkeypatch):
    assert trained(*SAMPLE, "--out", "one")[0] == 0
    run = Path("run").resolve()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    SAMPLE_THERE = ["sample", str(run), *SAMPLE[2:], "--out", "two"]
    code, said = trained(*SAMPLE_THERE)
    assert code == 0, said
    assert Path("two/grid.png").read_bytes() == Path("../one/grid.png").read_bytes()


def test_files_that_have_moved_are_found_where_they_are_said_to_be(trained):
    assert trained(*SAMPLE, "--out", "one")[0] == 0
    shutil.move("encoder", "moved")
    code, said = trained(*SAMPLE, "--out", "two")
    assert code == 5
    assert "text clip (diffx-backbones 0.1.0): " in said
    assert "is no folder of a text encoder" in said
    assert "--text-root says where to" in said
    assert trained(*SAMPLE, "--out", "two", "--text-root", "moved")[0] == 0
    assert Path("two/grid.png").read_bytes() == Path("one/grid.png").read_bytes()


def test_other_files_are_refused(trained):
    config = Path("encoder/config.json")
    config.write_text(config.read_text() + "\n")
    code, said = trained(*SAMPLE, "--out", "two")
    assert code == 5
    assert "are not those that the model was trained with" in said
    assert not Path("two").exists()


def test_an_encoder_without_files_cannot_have_moved(diffx):
    assert diffx("train", *DATA, *SMALL, *SHORT, "--text", "bytes")[0] == 0
    code, said = diffx(*SAMPLE, "--text-root", "moved")
    assert code == 5
    assert "trained without a text encoder that reads files" in said


def test_a_folder_that_will_not_do_is_refused_before_training(diffx):
    code, said = diffx("train", *DATA, *SMALL, *SHORT, "--text", "t5", "--text.root", "photos")
    assert code == 2
    assert "text t5 (diffx-backbones 0.1.0): photos: is no folder of a text encoder" in said
    assert not Path("run").exists()
