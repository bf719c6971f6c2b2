"""`diffx interpolate`: the ends are what was given, and the film goes there and back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from diffx_core import Pipeline
from diffx_samplers.heun import Heun

FEW = ["--sampler", "heun", "--steps", "6", "--out", "out"]


def pictures(folder):
    files = sorted(Path(folder).glob("*.png"))
    return np.array([np.asarray(Image.open(file)).astype(int) for file in files])


def way(diffx, run, *flags):
    result = diffx("interpolate", str(run), "--n", "4", *FEW, *flags)
    assert result.rc == 0, result.err
    return pictures("out/images")


def test_the_ends_are_the_given_images_but_for_the_error_of_the_method(
    diffx, digits_run, digits_files
):
    given = pictures(digits_files)[[0, 2]]
    made = way(diffx, digits_run, "--images", f"{digits_files}/0.png,{digits_files}/2.png")
    x = torch.from_numpy(given / 127.5 - 1).float()[:, None]
    pipeline, method = Pipeline.load(digits_run), Heun(steps=6)
    again = pipeline.decode(pipeline.encode(x, sampler=method), sampler=method)
    off = json.loads(Path("out/interpolate.json").read_text())["off"]
    assert off == pytest.approx(float((again - x).abs().max()), rel=0.05)
    assert np.abs(made[[0, -1]] - given).max() <= 127.5 * off + 1
    assert off < 0.5  # of a range of 2, in 6 steps of a network that has just begun to learn
    assert np.abs(made[1] - made[0]).mean() > 0


def test_the_ends_are_the_samples_of_two_seeds(diffx, digits_run):
    made = way(diffx, digits_run, "--seeds", "3,7", "--label", "5")
    pipeline = Pipeline.load(digits_run)
    ends = [pipeline.sample(1, sampler=Heun(steps=6), label=5, seed=seed)[0, 0] for seed in (3, 7)]
    wanted = [(one * 127.5 + 127.5).numpy() for one in ends]
    assert np.abs(made[[0, -1]] - wanted).max() <= 1  # of another batch, and of bytes


def test_the_film_goes_there_and_back(diffx, digits_run):
    way(diffx, digits_run)
    with Image.open("out/way.gif") as film:
        assert film.n_frames == 4 + 2


def test_points_have_a_way_too(diffx, points_run):
    x = torch.tensor([[0.1, 0.2], [0.3, -0.4]])
    save_file({"samples": x}, "ends.safetensors")
    given = ["--images", "ends.safetensors", "--sampler.rtol", "1e-7", "--sampler.atol", "1e-7"]
    result = diffx("interpolate", str(points_run), *given, "--n", "5", "--out", "out")
    assert result.rc == 0, result.err
    made = load_file("out/samples.safetensors")["samples"]
    torch.testing.assert_close(made[[0, -1]], x, rtol=0, atol=1e-2)
    assert not Path("out/way.gif").exists()


@pytest.mark.parametrize(
    ("flags", "rc", "words"),
    [
        (["--images", "FILES"], 4, "2 examples, and 4 are given"),
        (["--images", "FILES/0.png,large.png"], 4, "is 9x9 pixels"),
        (["--sampler", "ddim", "--sampler.eta", "1"], 2, "draws noise"),
        (["--label", "10"], 2, "10"),
        (["--seeds", "1,2", "--seed", "3"], 2, "--seed"),
        (["--images", "FILES", "--seed", "3"], 2, "--seed"),
        (["--n", "1"], 2, "--n"),
        (["--fit"], 2, "--fit"),
    ],
    ids=["four", "size", "noise", "label", "seeds", "seed", "one", "fit"],
)
def test_what_has_no_way_is_refused_in_a_line(diffx, digits_run, digits_files, flags, rc, words):
    Image.new("L", (9, 9)).save("large.png")
    flags = [flag.replace("FILES", str(digits_files)) for flag in flags]
    result = diffx("interpolate", str(digits_run), *flags, "--out", "out")
    assert result.rc == rc, result.err
    assert words in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()
