"""`diffx edit`: noise by the strength that was asked for, and no file by half."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

FEW = ["--steps", "3", "--out", "out"]


def pictures(folder):
    return [np.asarray(Image.open(file)).astype(int) for file in sorted(Path(folder).glob("*.png"))]


def edited(diffx, run, files, *flags):
    result = diffx("edit", str(run), "--images", str(files), *FEW, *flags)
    assert result.rc == 0, result.err
    return pictures("out/images")


def test_without_noise_the_images_come_back(diffx, digits_run, digits_files):
    made = edited(diffx, digits_run, digits_files, "--strength", "0")
    assert np.array_equal(made, pictures(digits_files))


def test_more_strength_changes_more(diffx, digits_run, digits_files):
    given = pictures(digits_files)
    weak, strong = (
        edited(diffx, digits_run, digits_files, "--strength", share, "--overwrite")
        for share in ("0.1", "0.8")
    )
    change = [np.abs(np.subtract(made, given)).mean() for made in (weak, strong)]
    assert 0 < change[0] < change[1] / 2


def test_the_facts_say_what_made_the_results(diffx, digits_run, digits_files):
    told = ["--labels", "3,5", "--guidance.scale", "2", "--seed", "7", "--json"]
    result = diffx("edit", str(digits_run), "--images", str(digits_files), *FEW, *told)
    shown = json.loads(result.out)
    facts = json.loads(Path("out/edit.json").read_text())
    assert shown == {"picture": "out/grid.png", **facts}
    assert facts["labels"] == [3, 5, 3, 5]
    assert facts["strength"] == 0.5
    assert facts["guidance"]["scale"] == 2
    assert facts["images"] == [str(digits_files / f"{i}.png") for i in range(4)]


def test_seed_class_and_guidance_change_the_result(diffx, digits_run, digits_files):
    told = ["--label", "3"]
    ways = ([], ["--seed", "1"], told, [*told, "--guidance.scale", "3"])
    made = [edited(diffx, digits_run, digits_files, *one, "--overwrite") for one in ways]
    assert len({np.array(one).tobytes() for one in made}) == len(ways)


def test_points_are_edited_too(diffx, points_run):
    x = torch.randn(5, 2)
    save_file({"samples": x}, "points.safetensors")
    given = ["--images", "points.safetensors", "--strength", "0"]
    assert diffx("edit", str(points_run), *given, *FEW).rc == 0
    assert torch.equal(load_file("out/samples.safetensors")["samples"], x)


def test_a_dry_run_writes_nothing(diffx, digits_run, digits_files):
    result = diffx("edit", str(digits_run), "--images", str(digits_files), *FEW, "--dry-run")
    assert json.loads(result.out)["strength"] == 0.5
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("flags", "rc", "words"),
    [
        (["--strength", "1.5"], 2, "--strength"),
        (["--label", "10"], 2, "the model knows 0 to 9"),
        (["--images", "large.png"], 4, "is 9x9 pixels"),
        (["--images", "absent.png"], 4, "absent.png"),
        (["--strength", "0.00001"], 2, "less noise than"),
    ],
    ids=["strength", "label", "size", "absent", "too little"],
)
def test_what_cannot_be_edited_is_refused_in_a_line(
    diffx, digits_run, digits_files, flags, rc, words
):
    Image.new("L", (9, 9)).save("large.png")
    images = [] if "--images" in flags else ["--images", str(digits_files)]
    result = diffx("edit", str(digits_run), *images, *FEW, *flags)
    assert result.rc == rc
    assert words in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()


def test_guidance_has_to_act_where_the_noise_of_the_edit_is(diffx, digits_run, digits_files):
    """At strength 0.5 the model is asked up to sigma / alpha = 1."""
    told = ["--images", str(digits_files), "--label", "3", "--guidance.scale", "3"]
    beyond = diffx("edit", str(digits_run), *told, *FEW, "--guidance.interval", "5,6")
    assert beyond.rc == 2
    assert "--guidance.interval: guidance changes nothing from 5 to 6" in beyond.err
    within = ["--guidance.interval", "0.1,1"]
    assert diffx("edit", str(digits_run), *told, *FEW, *within).rc == 0


def test_a_dry_run_refuses_what_a_real_one_would(diffx, digits_run, digits_files):
    little = ["--images", str(digits_files), "--strength", "0.00001", "--dry-run"]
    result = diffx("edit", str(digits_run), *little)
    assert result.rc == 2
    assert "less noise than" in result.err


def test_a_run_that_is_not_there_is_refused(diffx, digits_files):
    result = diffx("edit", "absent", "--images", str(digits_files))
    assert result.rc == 5
    assert "absent" in result.err


def test_the_picture_shows_as_many_of_thousands_as_that_of_samples(diffx, digits_run, digits_files):
    Path("many").mkdir()
    for i in range(201):
        shutil.copy(digits_files / f"{i % 4}.png", f"many/{i:03d}.png")
    made = edited(diffx, digits_run, "many", "--strength", "0")
    (shown,) = pictures("out")
    side = 20 * 66 + 2  # 400 images: 200 that were given, each beside what came of it
    assert (len(made), shown.shape) == (201, (side, side))
