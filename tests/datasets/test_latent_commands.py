"""`diffx encode-latents` and `diffx decode-latents`, by an autoencoder of diffusers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from diffx_cli.__main__ import main
from diffx_cli.output.claims import held
from diffx_core import ConfigError
from diffx_datasets.autoencoder import Autoencoder
from diffx_datasets.latents import Latents


def test_the_autoencoder_is_that_of_diffusers(vae):
    from diffusers import AutoencoderKL

    theirs = AutoencoderKL.from_pretrained(vae, low_cpu_mem_usage=False).eval()
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    ours = Autoencoder.load(vae, torch.device("cpu"))
    z = ours.encode(x)
    assert ours.factor == x.shape[-1] / z.shape[-1]
    with torch.no_grad():
        assert torch.equal(z, theirs.encode(x).latent_dist.mean)
        assert torch.equal(ours.decode(z), theirs.decode(z).sample)


def test_an_autoencoder_of_a_pipeline_is_found(vae, tmp_path):
    (tmp_path / "vae").symlink_to(vae)
    assert Autoencoder.load(tmp_path, torch.device("cpu")).channels == 3


def drawn(folder, samples):
    """What `diffx sample` writes of an imported model."""
    save_file({"samples": samples}, folder / "samples.safetensors")
    (folder / "sample.json").write_text('{"dataset": null}')


def test_a_size_that_the_autoencoder_cannot_halve_leaves_nothing(vae, images, tmp_path, capsys):
    words = ["--dataset.root", str(images), "--dataset.size", "17", "--vae", str(vae)]
    assert main(["encode-latents", *words, "--out", str(tmp_path / "out")]) == 2
    assert "2 does not divide images of 17 x 17: --dataset.size 16" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_an_autoencoder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"has no config\.json; an autoencoder is a folder"):
        Autoencoder.load(tmp_path, torch.device("cpu"))


def without_weights(folder):
    (folder / "diffusion_pytorch_model.safetensors").unlink()


def with_a_pickle(folder):
    without_weights(folder)
    (folder / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")


def with_other_weights(folder):
    path = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["more"] = tensors.pop("encoder.conv_in.bias")
    path.unlink()
    save_file(tensors, path)


def damaged(folder):
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize("harm", [without_weights, with_a_pickle, with_other_weights, damaged])
def test_an_autoencoder_that_is_not_whole_is_refused(vae, tmp_path, harm):
    folder = tmp_path / "vae"
    shutil.copytree(vae, folder)
    harm(folder)
    with pytest.raises(ConfigError, match=r"is no AutoencoderKL|do not fit") as caught:
        Autoencoder.load(folder, torch.device("cpu"))
    assert len(str(caught.value).splitlines()) == 1


def test_images_become_latents_a_model_and_images_again(vae, images, tmp_path, capsys):
    latents, run = str(tmp_path / "latents"), str(tmp_path / "run")
    source = ["--dataset.root", str(images), "--dataset.size", "16"]
    words = ["--vae", str(vae), "--out", latents, "--mirrored", "true", "--json"]
    assert main(["encode-latents", *source, *words]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 10
    words = ["--dataset", "latents", "--dataset.root", latents, "--dataset.flip", "true"]
    words += ["--backbone", "dit", "--backbone.width", "16", "--backbone.depth", "1"]
    words += ["--backbone.heads", "2", "--train.steps", "2", "--train.batch_size", "4"]
    assert main(["train", *words, "--out", run]) == 0
    capsys.readouterr()
    assert main(["encode-latents", *source, "--vae", str(vae), "--out", latents]) == 2
    assert "latents: is not empty; name another folder" in capsys.readouterr().err
    drawn = str(tmp_path / "drawn")
    assert main(["sample", run, "--n", "3", "--steps", "2", "--out", drawn]) == 0
    assert main(["decode-latents", drawn, "--latents", latents, "--vae", str(vae)]) == 0
    with Image.open(tmp_path / "drawn" / "decoded" / "images" / "00002.png") as image:
        assert image.size == (16, 16)
    file = tmp_path / "drawn" / "decoded" / "images" / "00002.png"
    first = file.read_bytes()
    shutil.rmtree(tmp_path / "drawn" / "decoded")
    assert main(["decode-latents", drawn, "--vae", str(vae)]) == 0  # the run names its latents
    assert file.read_bytes() == first
    shutil.rmtree(tmp_path / "drawn" / "decoded")
    (tmp_path / "latents").rename(tmp_path / "moved")
    capsys.readouterr()
    assert main(["decode-latents", drawn, "--vae", str(vae)]) == 4
    assert "which are not there: name the folder with --latents" in capsys.readouterr().err


def test_a_model_of_latents_is_trained_by_text(vae, images, tmp_path, capsys):
    for image in images.rglob("*.png"):
        image.with_suffix(".txt").write_text(f"picture {image.stem}")
    latents, run = str(tmp_path / "latents"), str(tmp_path / "run")
    words = ["--dataset.root", str(images), "--dataset.size", "8", "--dataset.captions", "txt"]
    assert main(["encode-latents", *words, "--vae", str(vae), "--out", latents]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("train: diffx train --dataset latents ")
    assert said.endswith(" --dataset.captions true --text bytes")
    words = [*said.split()[3:], "--backbone", "dit", "--backbone.width", "16"]
    words += ["--backbone.depth", "1", "--backbone.heads", "2", "--train.steps", "2"]
    assert main(["train", *words, "--train.batch_size", "4", "--out", run]) == 0
    told = ["--prompt", "picture 3", "--n", "1", "--steps", "2"]
    assert main(["sample", run, *told, "--out", str(tmp_path / "drawn")]) == 0


def test_facts_of_samples_that_say_nothing_of_data_are_refused(vae, tmp_path, capsys):
    drawn(tmp_path, torch.ones(2, 4, 8, 8))
    (tmp_path / "sample.json").write_text('{"run": "run"}')
    assert main(["decode-latents", str(tmp_path), "--vae", str(vae)]) == 4
    assert "does not say what the model was trained on" in capsys.readouterr().err
    (tmp_path / "sample.json").write_text('{"run": "run", "dataset": null}')  # it was imported
    assert main(["decode-latents", str(tmp_path), "--vae", str(vae)]) == 0


def drawn_by_a_model_of_latents(folder, root, *, shape=(4, 6, 5), **options):
    """Samples as of a model that was trained on the latents in a folder."""
    data = Latents(root=root, **options)
    dataset = {"name": "diffx-datasets:latents", "fingerprint": data.fingerprint}
    dataset["options"] = {"root": str(root), **options}
    folder.mkdir(exist_ok=True)
    save_file({"samples": torch.ones(2, *shape)}, folder / "samples.safetensors")
    (folder / "sample.json").write_text(json.dumps({"dataset": dataset}))
    return folder


def some_latents(root, scale=1.0):
    root.mkdir(exist_ok=True)
    z = torch.randn(3, 4, 6, 5, generator=torch.Generator().manual_seed(0)) * scale
    save_file({"latents": z, "mirrored": z.flip(-1)}, root / "latents.safetensors")
    return root


@pytest.mark.parametrize("named", [False, True], ids=["by the run", "by --latents"])
@pytest.mark.parametrize("flip", [False, True], ids=["plain", "mirrored"])
def test_samples_are_not_decoded_in_the_scale_of_other_latents(vae, tmp_path, capsys, named, flip):
    root = some_latents(tmp_path / "latents")
    drawn = drawn_by_a_model_of_latents(tmp_path / "drawn", root, flip=flip)
    words = ["decode-latents", str(drawn), "--vae", str(vae)]
    words += ["--latents", str(root)] if named else []
    assert main(words) == 0
    shutil.rmtree(drawn / "decoded")
    some_latents(root, scale=9.0)
    capsys.readouterr()
    assert main(words) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"was trained on other latents than are in {root} now" in said
    assert "--latents" in said


def test_latents_without_those_that_were_mirrored_are_others(tmp_path, capsys):
    root = some_latents(tmp_path / "latents")
    drawn = drawn_by_a_model_of_latents(tmp_path / "drawn", root, flip=True)
    z = load_file(root / "latents.safetensors")["latents"]
    save_file({"latents": z}, root / "latents.safetensors")
    assert main(["decode-latents", str(drawn), "--vae", str(tmp_path)]) == 4
    assert "was trained on other latents than are in" in capsys.readouterr().err


@pytest.mark.parametrize("is_there", [False, True], ids=["nothing", "an empty folder"])
def test_latents_that_are_not_found_from_here_are_one_line(tmp_path, capsys, monkeypatch, is_there):
    monkeypatch.chdir(tmp_path)
    some_latents(tmp_path / "latents")
    drawn = drawn_by_a_model_of_latents(tmp_path / "drawn", Path("latents"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if is_there:
        (elsewhere / "latents").mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["decode-latents", str(drawn), "--vae", str(tmp_path)]) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "latents in latents, which are not there: name the folder with --latents" in said


def test_samples_whose_scale_nothing_says_are_refused(vae, tmp_path, capsys):
    save_file({"samples": torch.ones(2, 4, 8, 8)}, tmp_path / "samples.safetensors")
    words = ["decode-latents", str(tmp_path), "--vae", str(vae)]
    assert main(words) == 2
    assert "has no sample.json, which says what scale the samples have" in capsys.readouterr().err
    assert not (tmp_path / "decoded").exists()
    root = tmp_path / "latents"
    root.mkdir()
    save_file({"latents": torch.randn(2, 4, 8, 8)}, root / "latents.safetensors")
    assert main([*words, "--latents", str(root)]) == 0


def test_samples_of_an_imported_model_are_in_the_scale_of_the_autoencoder(vae, tmp_path):
    from diffusers import AutoencoderKL

    theirs = AutoencoderKL.from_pretrained(vae, low_cpu_mem_usage=False).eval()
    samples = torch.linspace(-0.3, 0.3, 2 * 4 * 8 * 8).view(2, 4, 8, 8)
    drawn(tmp_path, samples)
    assert main(["decode-latents", str(tmp_path), "--vae", str(vae)]) == 0
    with torch.no_grad():
        expected = theirs.decode(samples / theirs.config.scaling_factor).sample
    shown = np.stack(
        [np.asarray(Image.open(tmp_path / f"decoded/images/{i:05}.png")) for i in range(2)]
    )
    expected = (127.5 * (expected.clamp(-1, 1) + 1)).permute(0, 2, 3, 1)
    assert np.abs(shown - expected.numpy()).max() <= 1


def test_samples_that_are_no_latents_of_the_autoencoder_are_refused(vae, tmp_path, capsys):
    drawn(tmp_path, torch.ones(2, 3, 8, 8))
    assert main(["decode-latents", str(tmp_path), "--vae", str(vae)]) == 4
    assert "has samples (3, 8, 8), not 4 channels of latents" in capsys.readouterr().err


def test_samples_of_something_else_are_not_decoded(tmp_path, capsys):
    root = tmp_path / "latents"
    root.mkdir()
    save_file({"latents": torch.randn(2, 4, 6, 5)}, root / "latents.safetensors")
    words = ["--latents", str(root), "--vae", str(tmp_path)]
    assert main(["decode-latents", str(tmp_path), *words]) == 4
    assert "has no samples of latents" in capsys.readouterr().err
    drawn(tmp_path, torch.ones(2, 4, 3, 3))
    assert main(["decode-latents", str(tmp_path), *words]) == 4
    assert "has samples (4, 3, 3), not (4, 6, 5)" in capsys.readouterr().err


@pytest.mark.parametrize("size", [100, 2_000], ids=["header", "tensors"])
def test_latents_that_cannot_be_written_are_one_line(vae, images, tmp_path, capsys, limited, size):
    source = ["--dataset.root", str(images), "--dataset.size", "16", "--vae", str(vae)]
    out = tmp_path / "new" / "latents"
    assert main(["encode-latents", *source, "--out", str(tmp_path / "first")]) == 0
    capsys.readouterr()
    limited(size)
    assert main(["encode-latents", *source, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"diffx: error: {out}: cannot be written: ")
    assert "File too large" in said
    assert not out.parent.exists()


@pytest.mark.parametrize("size", [30, 1_000], ids=["an image", "the grid"])
def test_images_that_cannot_be_written_are_one_line(vae, tmp_path, capsys, limited, size):
    drawn(tmp_path, torch.ones(2, 4, 8, 8))
    limited(size)
    assert main(["decode-latents", str(tmp_path), "--vae", str(vae)]) == 2
    said = capsys.readouterr().err
    assert said == f"diffx: error: {tmp_path / 'decoded'}: cannot be written: File too large\n"
    assert not (tmp_path / "decoded").exists()


@pytest.mark.parametrize("command", ["encode-latents", "decode-latents"])
def test_a_folder_in_which_another_works_is_left_to_it(vae, images, tmp_path, capsys, command):
    drawn(tmp_path, torch.ones(2, 4, 8, 8))
    words = {
        "encode-latents": ["--dataset.root", str(images), "--dataset.size", "16"],
        "decode-latents": [str(tmp_path)],
    }[command]
    out = tmp_path / "out"
    with held(out):
        assert main([command, *words, "--vae", str(vae), "--out", str(out)]) == 2
        assert "another diffx is at work there" in capsys.readouterr().err
        assert [one.name for one in out.iterdir()] == [".partial"]


@pytest.mark.parametrize("command", ["encode-latents", "decode-latents"])
def test_an_interrupt_leaves_nothing(vae, images, tmp_path, monkeypatch, command):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Autoencoder, command.partition("-")[0], interrupt)
    drawn(tmp_path, torch.ones(2, 4, 8, 8))
    words = {
        "encode-latents": ["--dataset.root", str(images), "--dataset.size", "16"],
        "decode-latents": [str(tmp_path)],
    }[command]
    out = tmp_path / "new" / "out"
    assert main([command, *words, "--vae", str(vae), "--out", str(out)]) == 130
    assert not out.parent.exists()
