"""Models of latents are judged by the images that an autoencoder makes of their samples."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffx_cli.__main__ import main
from diffx_datasets.latents import Latents

MEASURED = ["--metrics", "frechet,sliced_wasserstein", "--features", "random"]


@pytest.fixture
def run(vae, images, tmp_path, monkeypatch, capsys):
    """A model of latents that has begun to learn, in the folder `run`."""
    monkeypatch.chdir(tmp_path)
    source = ["--dataset.root", str(images), "--dataset.size", "16"]
    assert main(["encode-latents", *source, "--vae", str(vae), "--out", "latents"]) == 0
    words = ["--dataset", "latents", "--dataset.root", "latents", "--backbone", "dit"]
    words += ["--backbone.width", "16", "--backbone.depth", "1", "--backbone.heads", "2"]
    words += ["--train.steps", "2", "--train.batch_size", "4", "--device", "cpu"]
    assert main(["train", *words, "--out", "run"]) == 0
    capsys.readouterr()
    return "run"


@pytest.fixture
def evaluated(run, capsys):
    """Evaluate it."""

    def found(*flags):
        capsys.readouterr()
        assert main(["evaluate", run, *MEASURED, *map(str, flags), "--json"]) == 0
        said = capsys.readouterr()
        return json.loads(said.out), said.err

    return found


def means(facts):
    return {one["name"]: one["mean"] for one in facts["figures"]}


def test_images_of_latents_are_measured(evaluated, vae, capsys):
    found, _ = evaluated("--n", "8", "--nfe", "2", "--vae", vae, "--out", "numbers")
    assert len(found["reference"]["decoded_by"]) == 64
    assert found["reference"]["n"] == 10
    for one in found["figures"]:
        assert one["mean"] < one["ceiling"]["mean"]  # no noise of pixels comes of an autoencoder
    latents, said = evaluated("--n", "8", "--nfe", "2", "--out", "latents-alone")
    assert "measures latents; with --vae FOLDER, their images" in said
    assert latents["reference"]["decoded_by"] is None
    assert latents["reference"]["fingerprint"] != found["reference"]["fingerprint"]
    assert main(["compare", "run", "--samplers", "ddim", "--nfe", "2", "--n", "8", "--json",
                 "--features", "random", "--vae", str(vae), "--out", "compared"]) == 0  # fmt: skip
    compared = json.loads(capsys.readouterr().out)
    assert compared["reference"] == found["reference"]


def test_samples_are_the_same_as_latents_and_as_images(evaluated, vae):
    assert main(["sample", "run", "--n", "8", "--nfe", "2", "--out", "drawn"]) == 0
    assert main(["decode-latents", "drawn", "--vae", str(vae)]) == 0
    one, other = (
        evaluated("--samples", place, "--vae", vae, "--out", f"of-{place.name}")[0]
        for place in (Path("drawn"), Path("drawn/decoded"))
    )
    assert means(one) == pytest.approx(means(other), rel=1e-5)
    nearness = [found["memorisation"]["nearness"]["mean"] for found in (one, other)]
    assert nearness[0] == pytest.approx(nearness[1], rel=1e-5)


def test_latents_of_the_data_are_copies(evaluated, vae):
    Path("made").mkdir()
    x = Latents(root=Path("latents")).batch(torch.arange(10)).x
    save_file({"samples": x.contiguous()}, "made/samples.safetensors")
    found, _ = evaluated("--samples", "made", "--vae", vae, "--out", "numbers")
    assert found["memorisation"]["copied"]["mean"] == 1
    assert all(abs(one) < 1e-6 for one in means(found).values())


def test_an_autoencoder_that_does_not_suit_is_refused(run, capsys, tmp_path):
    assert main(["evaluate", run, *MEASURED, "--vae", "gone", "--out", "numbers"]) == 2
    assert "gone: has no config.json" in capsys.readouterr().err
    assert not (tmp_path / "numbers").exists()
