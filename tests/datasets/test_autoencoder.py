"""Which folders are those of an autoencoder, and what is said of others."""

import json
import logging
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffx_cli.__main__ import main
from diffx_core import ConfigError
from diffx_datasets.autoencoder import Autoencoder


@pytest.fixture
def copied(vae, tmp_path):
    shutil.copytree(vae, tmp_path / "vae")
    return tmp_path / "vae"


@pytest.fixture
def weights(copied):
    """The file of weights, and what is in it, which the file no longer is."""
    file = copied / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    file.unlink()
    return file, tensors


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("command", ["encode-latents", "decode-latents"])
def test_weights_that_are_not_finite_are_refused(weights, tmp_path, capsys, command, value):
    file, tensors = weights
    tensors["decoder.conv_out.bias"][1] = value
    save_file(tensors, file)
    save_file({"samples": torch.ones(2, 4, 8, 8)}, tmp_path / "samples.safetensors")
    (tmp_path / "sample.json").write_text('{"dataset": null}')
    words = {
        "encode-latents": ["--dataset", "digits", "--out", str(tmp_path / "out")],
        "decode-latents": [str(tmp_path)],
    }[command]
    assert main([command, *words, "--vae", str(file.parent)]) == 2
    said = f"{file.parent}: decoder.conv_out.bias has numbers that are not finite"
    assert capsys.readouterr().err == f"diffx: error: {said}\n"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"_class_name": "UNet2DModel", "sample_size": 8}, "vae: is a UNet2DModel, and images"),
        ([], "config.json: is no table of options"),
    ],
    ids=["a network", "a list"],
)
def test_a_folder_of_something_else_is_refused_in_one_line(copied, capsys, config, said):
    (copied / "config.json").write_text(json.dumps(config))
    words = ["--dataset", "digits", "--out", str(copied / "out"), "--vae", str(copied)]
    assert main(["encode-latents", *words]) == 2
    heard = capsys.readouterr().err
    assert said in heard
    assert heard.count("\n") == 1


def test_weights_that_do_not_fit_are_told_once(weights, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    file, tensors = weights
    tensors["more"] = tensors.pop("encoder.conv_in.bias")
    save_file(tensors, file)
    with pytest.raises(ConfigError, match=r"do not fit config\.json: .*encoder\.conv_in\.bias"):
        Autoencoder.load(file.parent, torch.device("cpu"))
    assert caplog.text == ""
