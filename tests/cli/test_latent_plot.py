"""`diffx latent-plot`: the examples of a run where the model has them, with their classes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffx_datasets.digits import Digits

FEW = ["--sampler", "heun", "--steps", "3"]


def plotted(diffx, run, *flags):
    result = diffx("latent-plot", str(run), "--out", "out", *flags)
    assert result.rc == 0, result.err
    with Path("out/latent-plot.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    return rows, points


def test_the_table_has_the_examples_with_their_classes(diffx, digits_run):
    rows, points = plotted(diffx, digits_run, "--n", "40", *FEW)
    index = np.array([int(row["example"]) for row in rows])
    labels = Digits(size=8).batch(torch.from_numpy(index)).cond.label
    assert [int(row["label"]) for row in rows] == labels.tolist()
    assert np.corrcoef(points.T)[0, 1] == pytest.approx(0, abs=1e-6)  # of principal components
    shares = json.loads(Path("out/latent-plot.json").read_text())["explained"]
    assert 0 < shares[1] <= shares[0] < 1
    with Image.open("out/latent-plot.png") as picture:
        assert len(picture.convert("RGB").getcolors(2**24)) > 10  # a colour for each class


def test_the_features_of_a_class_are_near_each_other(diffx, digits_run):
    rows, points = plotted(diffx, digits_run, "--of", "features", "--by", "tsne", "--n", "150")
    labels = np.array([row["label"] for row in rows])
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(1)] == labels).mean() > 0.25  # by chance, 0.1


def test_the_features_are_of_the_middle_of_the_network(diffx, digits_run):
    plotted(diffx, digits_run, "--of", "features", "--n", "10")
    assert json.loads(Path("out/latent-plot.json").read_text())["module"].startswith("middle")


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (["--of", "features", "--seed", "1"], ["--of", "features", "--seed", "2"]),
        (["--by", "tsne", "--perplexity", "5", *FEW], ["--by", "tsne", "--perplexity", "9", *FEW]),
    ],
    ids=["seed of the noise", "perplexity"],
)
def test_what_was_asked_for_makes_the_plot(diffx, same, other):
    data = ("--dataset", "toy2d", "--dataset.points", "40", "--backbone", "mlp")
    assert diffx("train", *data, "--train.steps", "2", "--out", "run").rc == 0
    every = ("--overwrite", "--n", "40")  # so that the seed does not choose examples
    first, again, differs = (plotted(diffx, "run", *every, *flags) for flags in (same, same, other))
    assert first[0] == again[0]
    assert [row["example"] for row in first[0]] == [row["example"] for row in differs[0]]
    assert np.abs(first[1] - differs[1]).max() > 1e-3


@pytest.mark.parametrize("of", [["--of", "features"], FEW], ids=["features", "latents"])
def test_points_are_plotted_too(diffx, points_run, of):
    rows, _ = plotted(diffx, points_run, "--n", "20", *of)
    assert len(rows) == 20


def test_features_need_no_sampler_that_suits_the_process(diffx):
    table = ["--scheduler", "ddpm", "--dataset", "toy2d", "--backbone", "mlp"]
    assert diffx("train", *table, "--train.steps", "2", "--out", "run").rc == 0
    rows, _ = plotted(diffx, "run", "--of", "features", "--n", "20")
    assert len(rows) == 20


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--by", "tsne", "--n", "20"], "30 neighbours are too many of 20"),
        (["--of", "features", "--module", "absent"], "no module 'absent'"),
        (["--of", "features", "--module", ""], "no module ''"),
        (["--of", "features", "--sampler", "ddim"], "--sampler: is of --of latents"),
        (["--of", "features", "--noise", "1e-9"], "knows no time"),
        (["--noise", "1"], "are of --of features"),
        (["--perplexity", "5"], "is of --by tsne"),
        (["--n", "5000"], "the data have 1797 examples"),
        (["--sampler", "euler_maruyama"], "draws noise"),
    ],
)
def test_what_cannot_be_plotted_is_refused_in_a_line(diffx, digits_run, flags, words):
    result = diffx("latent-plot", str(digits_run), *flags, "--out", "out")
    assert result.rc == 2, result.err
    assert words in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()
