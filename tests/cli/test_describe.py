"""`diffx describe backbone`: what a network takes, for data that are named."""

import json

import pytest
import torch
from PIL import Image

SHAPE = ("--shape", "4,32,32", "--num-classes", "1000")


def size(diffx, *arguments):
    return json.loads(diffx("describe", "backbone", *arguments, "--json").out)["size"]


@pytest.mark.parametrize(
    ("preset", "millions", "gmacs"), [("S/2", 33, 6.06), ("B/4", 130, 5.56), ("XL/2", 675, 118.6)]
)
def test_published_networks_have_their_published_size_and_cost(diffx, preset, millions, gmacs):
    found = size(diffx, "dit", "--backbone.preset", preset, *SHAPE)
    assert found["parameters"] / 1e6 == pytest.approx(millions, rel=0.01)
    assert found["gflop"] / 2 == pytest.approx(gmacs, rel=0.01)  # published as multiply-adds


def test_a_dataset_tells_the_shape(diffx):
    found = size(diffx, "dit", "--dataset", "digits", "--dataset.size", "8")
    assert (found["shape"], found["num_classes"]) == ([1, 8, 8], 10)


def test_context_is_counted(diffx):
    plain, told = (size(diffx, "dit", *SHAPE, *more) for more in ((), ("--context", "64")))
    assert told["parameters"] > plain["parameters"]
    assert told["gflop"] > plain["gflop"]


def test_a_library_that_has_replaced_a_function_of_torch_changes_nothing(diffx, monkeypatch):
    expected, made = size(diffx, "unet", "--shape", "1,8,8"), torch.linspace
    monkeypatch.setattr(torch, "linspace", lambda *sizes, **how: made(*sizes, device="cpu", **how))
    assert size(diffx, "unet", "--shape", "1,8,8") == expected


@pytest.fixture
def captioned(tmp_path, monkeypatch):
    """The flags of a folder of images with texts."""
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    for k in range(2):
        Image.new("RGB", (8, 8), (90 * k, 9, 9)).save(tmp_path / "images" / f"{k}.png")
        (tmp_path / "images" / f"{k}.txt").write_text("a text")
    words = ["--dataset", "image_folder", "--dataset.root", str(tmp_path / "images")]
    return [*words, "--dataset.size", "8", "--dataset.captions", "txt"]


def test_texts_are_counted_as_the_encoder_makes_them(diffx, captioned):
    text = ["--text", "bytes", "--text.length", "20"]
    named = size(diffx, "dit", *captioned, *text)
    by_shape = size(diffx, "dit", "--shape", "3,8,8", *text)
    width = size(diffx, "dit", "--shape", "3,8,8", "--context", str(named["context"]))
    assert named == by_shape
    assert named["parameters"] == width["parameters"]
    assert named["gflop"] < width["gflop"]  # 20 tokens, and not 77


def test_captions_that_nothing_reads_are_refused_as_in_training(diffx, captioned):
    said = "has captions, and nothing reads them: name an encoder with --text"
    for words in (["describe", "backbone", "dit"], ["train", "--backbone", "dit", "--dry-run"]):
        result = diffx(*words, *captioned)
        assert (result.rc, result.out) == (2, "")
        assert said in result.err


def test_the_width_of_tokens_is_not_said_of_a_dataset(diffx, captioned):
    result = diffx("describe", "backbone", "dit", *captioned, "--context", "256")
    assert (result.rc, result.out, result.err.count("\n")) == (2, "", 1)
    assert "an encoder reads that --text names" in result.err


def test_the_figures_stand_after_the_options(diffx):
    out = diffx("describe", "backbone", "dit", "--backbone.preset", "S/2", *SHAPE).out
    assert out.endswith(
        "for data 4 x 32 x 32, 1000 classes:\n"
        "  parameters  32,785,168\n"
        "  GFLOP       12.1 to call it with one example"
        " (an addition and a multiplication are two)\n"
    )


REFUSED = {
    "data that the network refuses": (["dit", "--shape", "4,30,32"], "height 30 is not divisible"),
    "no shape": (["dit", "--num-classes", "3"], "--shape: is required"),
    "options without a shape": (["dit", "--backbone.preset", "S/2"], "--shape: is required"),
    "a wrong option": (["dit", "--backbone.deth", "3", *SHAPE], "did you mean depth"),
    "two sources": (["dit", "--shape", "1,8,8", "--dataset", "digits"], "exclude each other"),
    "classes besides a dataset": (["dit", "--num-classes", "3", "--dataset", "digits"], "tells it"),
    "two widths": (["dit", *SHAPE, "--context", "8", "--text", "bytes"], "exclude each other"),
    "a text without data": (["dit", "--text", "bytes"], "--shape: is required"),
    "a text without captions": (["dit", "--dataset", "digits", "--text", "bytes"], "no captions"),
    "too large a shape": (["unet", "--shape", f"{10**20},32,32"], "at most 2,147,483,648 numbers"),
    "many large sides": (["mlp", "--shape", ",".join(["99999"] * 9)], "at most 2,147,483,648"),
    "too many classes": (
        ["dit", "--shape", "3,8,8", "--num-classes", f"{10**20}"],
        "must be <= 2147483648",
    ),
    "too wide a token": (
        ["dit", "--shape", "3,8,8", "--context", f"{10**20}"],
        "--context: must be <=",
    ),
    "a shape of nothing": (["dit", "--shape", "3,0,4"], "positive sizes, got (3, 0, 4)"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_shown_is_refused(diffx, arguments, message):
    result = diffx("describe", "backbone", *arguments)
    assert (result.rc, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


def test_other_components_have_no_figures(diffx):
    result = diffx("describe", "scheduler", "vesde", "--shape", "3")
    assert result.rc == 2
    assert "--shape: is for a backbone, and this is a scheduler" in result.err


NETWORKS = """
from torch import nn

class Line(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(*spec.shape, *spec.shape)

    def forward(self, x, noise_label, cond):
        return self.layer(x)

class Vast(Line):
    def __init__(self, spec):
        super().__init__(spec)
        self.more = nn.Linear(10**20, 1)

class Valued(Line):
    def forward(self, x, noise_label, cond):
        return x * float(noise_label.max())
"""
PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_backbones():
    target = "diffx_counted.networks:"
    return [Component(one.lower(), target + one) for one in ("Line", "Vast", "Valued")]
"""


@pytest.fixture
def counted(fake_distribution):
    return fake_distribution("diffx-counted", {"plugin": PLUGIN, "networks": NETWORKS})


def test_a_multiplication_and_an_addition_are_two(diffx, counted):
    found = size(diffx, "line", "--shape", "5")
    assert found["parameters"] == 5 * 5 + 5
    assert found["gflop"] == pytest.approx(2 * 5 * 5 / 1e9)


def test_a_network_that_needs_values_is_named(diffx, counted):
    result = diffx("describe", "backbone", "valued", "--shape", "3")
    assert result.rc == 3
    assert "valued (diffx-counted 1.0)" in result.err
    assert "cannot be measured" in result.err


def test_where_torch_has_raised_an_error_is_left_out(diffx, counted):
    result = diffx("describe", "backbone", "vast", "--shape", "3")
    assert (result.rc, result.err.count("\n")) == (3, 1)
    assert "vast (diffx-counted 1.0) cannot be built: TypeError: empty()" in result.err
    assert "frame" not in result.err
    assert "raised from" not in result.err


def test_networks_of_pairs_are_measured():
    from diffx_backbones.unet import UNet
    from diffx_cli.components.figures import figures
    from diffx_core import DataSpec

    alone, paired = (figures(UNet, DataSpec((1, 8, 8), paired=one)) for one in (False, True))
    assert paired.parameters == alone.parameters + 9 * 16
    assert paired.flop > alone.flop


@pytest.mark.parametrize(("number", "said"), [(1, ", 1 class:"), (2, ", 2 classes:")])
def test_classes_are_counted(diffx, number, said):
    found = diffx("describe", "backbone", "mlp", "--shape", "2", "--num-classes", str(number))
    assert f"for data 2{said}" in found.out
