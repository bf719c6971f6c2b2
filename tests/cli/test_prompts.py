"""Training and sampling by text, through the command line."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_datasets():
    return [Component("lamps", "diffx_lamps.lamps:Lamps", "Small images with captions")]
"""
LAMPS = '''
import torch
from attrs import field, frozen

from diffx_core import Batch, Condition, Dataset, DataSpec

TEXTS = ("the lamp is on", "the lamp is off")

@frozen(kw_only=True)
class Lamps(Dataset):
    """Images of two channels that are bright or dark.

    Args:
        captions: whether there are captions.
        classes: whether there are labels.
    """

    captions: bool = True
    classes: bool = False

    @property
    def spec(self):
        return DataSpec((2, 4, 4), 2 if self.classes else None, captions=self.captions)

    def __len__(self):
        return 64

    def batch(self, index):
        off = index % 2
        x = (1 - 2.0 * off)[:, None, None, None].expand(-1, 2, 4, 4).clone()
        captions = [TEXTS[one] for one in off] if self.captions else None
        label = off if self.classes else None
        return Batch(x, Condition(label), index, captions)
'''
DATA = ["--dataset", "lamps", "--backbone", "dit", "--backbone.width", "16", "--backbone.depth=1"]
SHORT = ["--backbone.heads=1", "--train.batch-size", "16", "--train.warmup=0", "--train.lr", "0.01"]
FEW = ["--n", "4", "--nfe", "6"]


@pytest.fixture
def lamps(fake_distribution):
    return fake_distribution("diffx-lamps", {"plugin": PLUGIN, "lamps": LAMPS})


@pytest.fixture
def train(diffx, lamps):
    def run(*flags, steps=2, text="bytes"):
        named = ["--text", text] if text else []
        return diffx(
            *("train", *DATA, *SHORT, *named, f"--train.steps={steps}"),
            *(flags if "--out" in flags else ("--out", "run", *flags)),
        )

    return run


def means(folder):
    return load_file(Path(folder, "samples.safetensors"))["samples"].mean((1, 2, 3)).tolist()


def test_a_model_learns_what_words_mean(train, diffx):
    assert train("--text.length", "16", steps=120).rc == 0
    assert "\ntext:\n  name: diffx-backbones:bytes\n  length: 16\n" in Path(
        "run/config.yaml"
    ).read_text("utf-8")
    for word in ("on", "off"):
        flags = ["--prompt", f"the lamp is {word}", "--guidance.scale", "1.5", "--out", word]
        assert diffx("sample", "run", *FEW, *flags).rc == 0
    assert min(means("on")) > 0.5
    assert max(means("off")) < -0.5
    facts = json.loads(Path("on/sample.json").read_text("utf-8"))
    assert facts["prompts"] == ["the lamp is on"] * 4


def test_prompts_are_taken_from_a_file_in_turn(train, diffx):
    assert train().rc == 0
    Path("texts").write_text("one\n\n  zwölf \n", encoding="utf-8")
    result = diffx("sample", "run", *FEW, "--prompts", "texts", "--out", "s", "--dry-run")
    assert json.loads(result.out)["prompts"] == ["one", "zwölf", "one", "zwölf"]


def test_a_run_is_trained_again_from_its_configuration(train, diffx):
    assert train().rc == 0
    assert diffx("train", "--config", "run/config.yaml", "--out", "again").rc == 0
    weights = "checkpoints/step-00000002/model.safetensors"
    assert Path("again", weights).read_bytes() == Path("run", weights).read_bytes()


def test_a_prompt_is_told_without_a_class_unless_one_is_named(train, diffx):
    assert train("--dataset.classes", "true").rc == 0
    ask = ["sample", "run", *FEW, "--dry-run"]
    assert json.loads(diffx(*ask).out)["labels"] == [0, 1, 0, 1]
    assert json.loads(diffx(*ask, "--prompt", "on").out)["labels"] is None
    assert json.loads(diffx(*ask, "--prompt", "on", "--label", "1").out)["labels"] == [1] * 4


REFUSED = {
    "no-captions": ("dit", "bytes", ["--dataset.captions=false"], "cannot read dataset lamps"),
    "no-reader": ("edm2", "bytes", [], "with text bytes (diffx-backbones 0.1.0): edm2 reads no"),
    "no-encoder": ("dit", None, [], "and nothing reads them: name an encoder with --text"),
    "no-such": ("dit", "byte", [], "did you mean 'bytes'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_by_text_is_refused(diffx, lamps, case):
    backbone, text, flags, reason = REFUSED[case]
    named = ["--text", text] if text else []
    result = diffx("train", "--dataset", "lamps", "--backbone", backbone, *named, *flags)
    assert result.rc == 2
    assert reason in result.err
    assert not Path("runs").exists()


def test_options_of_an_encoder_need_its_name(diffx, lamps):
    result = diffx("train", *DATA, "--text.length", "3")
    assert result.rc == 2
    assert "needs --text NAME" in result.err


PROMPTS = {
    "too-long": (["--prompt", "x" * 17], "has 17 tokens, and the model reads 16"),
    "both": (["--prompt", "x", "--prompts", "texts"], "exclude each other"),
    "no-file": (["--prompts", "nowhere"], "--prompts: nowhere cannot be read"),
    "empty-file": (["--prompts", "empty"], "empty has no line with a prompt"),
    "bad-file": (["--prompts", "bad"], "bad cannot be read: it is not UTF-8"),
    "untold": (["--guidance.scale", "2"], "pushes towards a prompt, and none was given"),
}


@pytest.mark.parametrize("case", PROMPTS)
def test_what_cannot_be_sampled_is_refused(train, diffx, case):
    flags, reason = PROMPTS[case]
    assert train("--text.length", "16").rc == 0
    Path("empty").write_text("\n \n", encoding="utf-8")
    Path("bad").write_bytes(b"\xff\xfe")
    result = diffx("sample", "run", *FEW, *flags)
    assert result.rc == 2
    assert reason in result.err
    assert not Path("run/samples").exists()


def test_a_model_that_reads_by_another_encoder_is_no_guide(train, diffx):
    assert train("--text.length", "16").rc == 0
    for name, length in (("same", "16"), ("other", "17")):
        assert train("--text.length", length, "--seed", "1", "--out", name).rc == 0
    ask = ["sample", "run", *FEW, "--dry-run", "--prompt", "on", "--guidance.scale", "2"]
    assert diffx(*ask, "--guidance.against", "same").rc == 0
    refused = diffx(*ask, "--guidance.against", "other")
    assert refused.rc == 2
    assert "other: reads texts by another encoder" in refused.err


def test_a_model_without_texts_takes_no_prompt(train, diffx):
    assert train("--dataset.captions", "false", text=None).rc == 0
    result = diffx("sample", "run", *FEW, "--prompt", "on")
    assert result.rc == 2
    assert "was trained without texts: it takes no prompt" in result.err


def test_prompts_are_told_again_from_the_json(train, diffx):
    assert train("--dataset.classes", "true").rc == 0
    Path("texts").write_text("one\ntwo", encoding="utf-8")
    few = ["--n", "5", "--nfe", "2", "--batch-size", "2"]
    assert diffx("sample", "run", *few, "--prompts", "texts", "--out", "a").rc == 0
    Path("texts").unlink()
    again = ("sample", "--from", "a/sample.json")
    assert diffx(*again, "--out", "b").rc == 0
    for name in ("samples.safetensors", "sample.json"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()
    changed = diffx(*again, "--prompt", "on", "--dry-run")
    assert "what it says of prompts does not count" in changed.err
    assert json.loads(changed.out)["prompts"] == ["on"] * 5


def test_a_long_prompt_of_a_later_batch_is_refused_before_the_first(train, diffx):
    assert train("--text.length", "4").rc == 0
    Path("texts").write_text("on\noff\nneither on nor off", encoding="utf-8")
    few = ["--n", "3", "--nfe", "2", "--batch-size", "1", "--out", "s"]
    result = diffx("sample", "run", *few, "--prompts", "texts")
    assert (result.rc, result.err.count("\n")) == (2, 1)
    assert "'neither on nor off' has" in result.err
    assert not Path("s").exists()
