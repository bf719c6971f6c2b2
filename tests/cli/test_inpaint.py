"""`diffx inpaint`: what is kept is kept to the byte, and the rest is made anew."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

FEW = ["--sampler.jump", "2", "--sampler.resamples", "2", "--steps", "5", "--out", "out"]
BY = {
    "replacement": FEW,
    "dps": ["--sampler", "ddim", "--steps", "5", "--by", "dps", "--out", "out"],
    "pigdm": ["--sampler", "ddim", "--steps", "5", "--by", "pigdm", "--out", "out"],
}
NOWHERE = ["--label", "3", "--guidance.scale", "3", "--guidance.interval", "900,999"]
"""Guidance where the model is never asked."""


def pictures(folder):
    files = sorted(Path(folder).glob("*.png"))
    return np.array([np.asarray(Image.open(file)).astype(int) for file in files])


def half(name="mask.png", size=8):
    """A mask that keeps the left half."""
    image = Image.new("L", (size, size))
    image.paste(255, (size // 2, 0, size, size))
    image.save(name)
    return name


def inpaint(diffx, run, files, *flags, by="replacement"):
    return diffx("inpaint", str(run), "--images", str(files), "--mask", half(), *BY[by], *flags)


@pytest.mark.parametrize("by", BY)
def test_what_is_known_is_kept_and_the_rest_is_new(diffx, digits_run, digits_files, by):
    result = inpaint(diffx, digits_run, digits_files, by=by)
    assert result.rc == 0, result.err
    made, given = pictures("out/images"), pictures(digits_files)
    assert np.array_equal(made[..., :4], given[..., :4])
    assert all((one[:, 4:] != other[:, 4:]).any() for one, other in zip(made, given, strict=True))


def test_the_facts_say_what_made_the_results(diffx, digits_run, digits_files):
    result = inpaint(diffx, digits_run, digits_files, "--label", "3", "--json")
    facts = json.loads(Path("out/inpaint.json").read_text())
    assert json.loads(result.out) == {"picture": "out/grid.png", **facts}
    assert (facts["mask"], facts["by"], facts["pull"]) == ("mask.png", "replacement", None)
    assert facts["labels"] == [3] * 4


def test_the_seed_decides_on_what_is_new(diffx, digits_run, digits_files):
    made = []
    for seed in ("1", "1", "2"):
        inpaint(diffx, digits_run, digits_files, "--seed", seed, "--overwrite")
        made.append(pictures("out/images"))
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_pull_class_and_guidance_change_the_result(diffx, digits_run, digits_files):
    told = ["--label", "3"]
    ways = ([], ["--pull", "9"], told, [*told, "--guidance.scale", "3"])
    made = []
    for one in ways:
        flags = [*one, "--overwrite"]
        assert inpaint(diffx, digits_run, digits_files, *flags, by="dps").rc == 0
        made.append(pictures("out/images").tobytes())
    assert len(set(made)) == len(ways)


def test_a_coordinate_of_points_is_kept_too(diffx, points_run):
    x = torch.randn(5, 2)
    save_file({"samples": x}, "points.safetensors")
    save_file({"mask": torch.tensor([[0.0, 1.0]])}, "mask.safetensors")
    given = ["--images", "points.safetensors", "--mask", "mask.safetensors"]
    result = diffx("inpaint", str(points_run), *given, *FEW)
    assert result.rc == 0, result.err
    made = load_file("out/samples.safetensors")["samples"]
    assert torch.equal(made[:, 0], x[:, 0])
    assert (made[:, 1] != x[:, 1]).all()


@pytest.mark.parametrize(
    ("flags", "rc", "words"),
    [
        (["--mask", "large.png"], 4, "is 9x9 pixels"),
        (["--mask", "black.png"], 4, "black.png: keeps all of an example"),
        (["--mask", "white.png"], 4, "white.png: keeps nothing of an example"),
        (["--mask", "absent.png"], 4, "absent.png"),
        (["--pull", "2"], 2, "--pull: is of --by dps"),
        (NOWHERE, 2, "--guidance.interval: guidance changes nothing from 900 to 999"),
        (["--sampler", "rk45"], 2, "needs the same time for all samples"),
    ],
    ids=["size", "all", "nothing", "absent", "pull", "interval", "sampler"],
)
def test_what_cannot_be_inpainted_is_refused_in_a_line(
    diffx, digits_run, digits_files, flags, rc, words
):
    half("large.png", 9)
    Image.new("L", (8, 8)).save("black.png")
    Image.new("L", (8, 8), "white").save("white.png")
    mask = [] if "--mask" in flags else ["--mask", half()]
    images = ["--images", str(digits_files), "--out", "out"]
    result = diffx("inpaint", str(digits_run), *images, *mask, *flags)
    assert result.rc == rc, result.err
    assert words in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()
