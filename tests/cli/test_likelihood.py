"""`diffx likelihood`: a mean with its error, of the data of a run or of a user's."""

import csv
import json
import math
import statistics
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffx_cli.use.given import Giver
from diffx_core import Likelihood, Pipeline

FEW = ["--steps", "3", "--out", "out"]


def rows():
    with Path("out/likelihood.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def found(diffx, run, *flags):
    result = diffx("likelihood", str(run), *FEW, *flags, "--json")
    assert result.rc == 0, result.err
    facts = json.loads(result.out)
    assert facts == {"table": "out/likelihood.csv"} | json.loads(
        Path("out/likelihood.json").read_text()
    )
    return facts


def test_the_mean_and_its_error_are_those_of_the_table(diffx, digits_run):
    facts = found(diffx, digits_run, "--n", "6")
    each = [float(row["bits/dim"]) for row in rows()]
    assert facts["unit"] == "bits/dim"
    assert facts["mean"] == pytest.approx(statistics.mean(each))
    assert facts["stderr"] == pytest.approx(statistics.stdev(each) / math.sqrt(6))
    assert (facts["split"], facts["nfe"], facts["labels"]) == ("all", 12, None)


def test_batches_are_told_of_as_they_are_done(diffx, digits_run):
    line = "likelihood", str(digits_run), "--steps", "2", "--n", "10"
    told = diffx(*line, "--batch-size", "4", "--out", "parts").err.splitlines()
    shown = [one.split(" examples")[0] for one in told if "examples/s" in one]
    assert shown == [f"likelihood  {n}/10" for n in (4, 8, 10)]
    assert "examples/s" not in diffx(*line, "--out", "whole").err


def test_the_bits_of_given_images_are_those_of_the_pipeline(diffx, digits_run, digits_files):
    facts = found(diffx, digits_run, "--images", str(digits_files), "--label", "3")
    pipeline = Pipeline.load(digits_run)
    x = Giver("--images", pipeline.spec).examples([digits_files]).x
    bits = pipeline.bits_per_dim(x, method=Likelihood(steps=3), label=3)
    assert facts["mean"] == pytest.approx(float(bits.mean()), rel=1e-5)
    assert [row["label"] for row in rows()] == ["3"] * 4


def test_the_seed_chooses_the_signs_for_given_images(diffx, digits_run, digits_files):
    given = ["--images", str(digits_files), "--overwrite"]
    bits = [found(diffx, digits_run, *given, "--seed", seed)["mean"] for seed in ("0", "0", "1")]
    assert bits[0] == bits[1] != bits[2]


def test_the_density_of_points_is_in_nats(diffx, points_run):
    x = torch.randn(5, 2)
    save_file({"samples": x}, "points.safetensors")
    facts = found(diffx, points_run, "--images", "points.safetensors", "--trace", "exact")
    method = Likelihood(steps=3, trace="exact")
    wanted = -Pipeline.load(points_run).log_likelihood(x, method=method).total / 2
    assert facts["unit"] == "nats/dim"
    assert facts["mean"] == pytest.approx(float(wanted.mean()), rel=1e-5)


def test_its_own_labels_are_those_of_the_examples(diffx, digits_run):
    facts = found(diffx, digits_run, "--n", "3", "--own-labels", "--seed", "1")
    assert [row["label"] for row in rows()] == [str(one) for one in facts["labels"]]


def test_the_seed_chooses_the_examples(diffx, digits_run):
    chosen = []
    for seed in ("1", "1", "2"):
        found(diffx, digits_run, "--n", "3", "--seed", seed, "--overwrite")
        chosen.append([row["example"] for row in rows()])
    assert chosen[0] == chosen[1] != chosen[2]


def test_examples_that_were_held_out_are_taken_if_there_are_any(diffx):
    size = ["--preset", "tiny", "--train.batch-size", "16", "--train.steps", "2"]
    held = ["--validate.every", "2", "--validate.examples", "5", "--out", "run"]
    data = ["--dataset", "digits", "--dataset.size", "8"]
    assert diffx("train", *data, *size, *held).rc == 0
    facts = found(diffx, "run")
    assert (facts["n"], facts["split"]) == (5, "held-out")


@pytest.mark.parametrize(
    ("flags", "rc", "words"),
    [
        (["--images", "grey.png"], 4, "none of the 17 levels"),
        (["--images", "large.png"], 4, "is 9x9 pixels"),
        (["--n", "5000"], 2, "the data have 1797 examples (all), not 5000"),
        (["--split", "held-out"], 2, "kept no examples"),
        (["--images", "grey.png", "--n", "3"], 2, "--n"),
        (["--trace", "exact", "--n", "1"], 0, ""),
    ],
    ids=["levels", "size", "many", "split", "both", "exact"],
)
def test_what_has_no_likelihood_is_refused_in_a_line(diffx, digits_run, flags, rc, words):
    Image.new("L", (9, 9)).save("large.png")
    Image.new("L", (8, 8), 8).save("grey.png")
    result = diffx("likelihood", str(digits_run), *flags, *FEW)
    assert result.rc == rc, result.err
    assert words in result.err
    assert result.err.count("\n") == (rc > 0)
    assert Path("out").exists() == (rc == 0)
