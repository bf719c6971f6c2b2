"""`diffx encode` and `diffx decode`: there and back, by the model that knows the way."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

HEUN = ["--sampler", "heun", "--steps", "8"]


def pictures(folder):
    files = sorted(Path(folder).glob("*.png"))
    return np.array([np.asarray(Image.open(file)).astype(int) for file in files])


def encoded(diffx, run, files, *flags):
    given = ["--images", str(files), "--out", "noise", "--overwrite"]
    result = diffx("encode", str(run), *given, *flags)
    assert result.rc == 0, result.err
    return json.loads(Path("noise/encode.json").read_text())


def test_what_was_encoded_is_decoded(diffx, digits_run, digits_files):
    facts = encoded(diffx, digits_run, digits_files, "--check", *HEUN)
    assert load_file("noise/latents.safetensors")["latents"].shape == (4, 1, 8, 8)
    result = diffx("decode", "--latents", "noise", *HEUN, "--out", "out", "--json")
    assert result.rc == 0, result.err
    off = np.abs(pictures("out/images") - pictures(digits_files))
    assert off.max() <= 127.5 * facts["error"]["max"] + 1
    assert math.sqrt((off**2).mean()) == pytest.approx(127.5 * facts["error"]["rms"], rel=0.2)
    assert json.loads(result.out)["latents"] == "noise"


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("heun", 3)])
def test_the_error_falls_with_the_order_of_the_method(
    diffx, digits_run, digits_files, sampler, order
):
    # There and back, the leading error of an even order cancels: the second makes the third.
    errors = []
    for steps in ("20", "40"):
        how = ["--sampler", sampler, "--sampler.grid", "logsnr", "--steps", steps]
        facts = encoded(diffx, digits_run, digits_files, "--check", *how)
        errors.append(facts["error"]["rms"])
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_the_labels_are_those_of_the_latents_unless_others_are_said(
    diffx, digits_run, digits_files
):
    encoded(diffx, digits_run, digits_files, "--labels", "3,5", *HEUN)
    shown = diffx("decode", "--latents", "noise", *HEUN, "--dry-run")
    assert json.loads(shown.out)["labels"] == [3, 5, 3, 5]
    shown = diffx("decode", "--latents", "noise", *HEUN, "--label", "8", "--dry-run")
    assert json.loads(shown.out)["labels"] == [8] * 4


def test_the_class_decides_on_the_latents(diffx, digits_run, digits_files):
    found = []
    for told in ([], ["--label", "3"]):
        encoded(diffx, digits_run, digits_files, *HEUN, *told)
        found.append(load_file("noise/latents.safetensors")["latents"])
    assert not torch.equal(*found)


def test_points_go_there_and_back(diffx, points_run):
    x = torch.randn(5, 2) / 2
    save_file({"samples": x}, "points.safetensors")
    tight = ["--sampler.rtol", "1e-7", "--sampler.atol", "1e-7"]
    facts = encoded(diffx, points_run, "points.safetensors", "--check", *tight)
    assert facts["error"]["max"] < 1e-2
    assert diffx("decode", "--latents", "noise", *tight, "--out", "out").rc == 0
    made = load_file("out/samples.safetensors")["samples"]
    assert float((made - x).abs().max()) == pytest.approx(facts["error"]["max"], rel=0.01)


def test_latents_of_another_process_are_refused(diffx, digits_run, digits_files):
    encoded(diffx, digits_run, digits_files, *HEUN)
    result = diffx("decode", "--latents", "noise", *HEUN, "--scheduler", "rectified_flow")
    assert result.rc == 2
    assert "were made under scheduler diffx-schedulers:vpsde" in result.err


def test_latents_of_another_model_are_refused(diffx, digits_run, digits_files, points_run):
    encoded(diffx, digits_run, digits_files, *HEUN)
    result = diffx("decode", str(points_run), "--latents", "noise", *HEUN)
    assert result.rc == 5
    assert "were made by other weights" in result.err
    assert result.err.count("\n") == 1


def test_a_run_that_moved_with_its_latents_is_found(diffx, digits_run, digits_files):
    shutil.copytree(digits_run, "old")
    assert diffx("encode", "old", "--images", str(digits_files), *HEUN).rc == 0
    Path("old").rename("new")
    (folder,) = Path("new/encode").iterdir()
    assert diffx("decode", "--latents", str(folder), *HEUN, "--out", "back").rc == 0
    folder.rename("alone")
    result = diffx("decode", "--latents", "alone", *HEUN, "--out", "again")
    assert result.rc == 5
    assert "old: is not there; name the run that made --latents alone" in result.err


def test_latents_that_are_not_there_are_missed_before_a_run(diffx):
    result = diffx("decode", "--latents", "absent")
    assert result.rc == 4
    assert "--latents absent: is not there" in result.err


@pytest.mark.parametrize(
    ("labels", "words"),
    [(["a"] * 4, "has no sound encode.json"), ([1], "encode.json is of another number than 4")],
)
def test_latents_with_other_facts_are_refused(diffx, digits_run, digits_files, labels, words):
    facts = encoded(diffx, digits_run, digits_files, *HEUN)
    Path("noise/encode.json").write_text(json.dumps({**facts, "labels": labels}))
    result = diffx("decode", "--latents", "noise", *HEUN, "--out", "out")
    assert result.rc == 4
    assert f"--latents noise: {words}" in result.err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("flags", "rc", "words"),
    [
        (["encode", "--images", "large.png"], 4, "is 9x9 pixels"),
        (["encode", "--images", "FILES", "--seed", "1"], 2, "--seed"),
        (["encode", "--images", "FILES", "--sampler", "euler_maruyama"], 2, "draws noise"),
        (["decode", "--latents", "absent"], 4, "absent: is not there"),
        (["decode", "--latents", "empty"], 4, "has no sound encode.json"),
        (["decode", "--latents", "points.safetensors"], 4, "is (1, 2)"),
    ],
    ids=["size", "seed", "noise", "absent", "empty", "shape"],
)
def test_what_has_no_way_is_refused_in_a_line(diffx, digits_run, digits_files, flags, rc, words):
    Image.new("L", (9, 9)).save("large.png")
    Path("empty").mkdir()
    save_file({"x": torch.zeros(1, 2)}, "points.safetensors")
    command, *flags = (flag.replace("FILES", str(digits_files)) for flag in flags)
    result = diffx(command, str(digits_run), *flags, "--out", "out")
    assert result.rc == rc, result.err
    assert words in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()
