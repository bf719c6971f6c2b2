"""Text encoders with weights from a folder, which small ones are written to."""

import json
import shutil
import sqlite3
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

from diffx_core import ConfigError
from diffx_core.testing import TextSuite

pytest.importorskip("transformers", reason="the encoders are read by it")

from diffx_backbones.text.pretrained import CLIP, T5

TEXTS = ["a red square", "a blue one on a green one"]


BUILDS = {
    "clip": lambda clip, t5: CLIP(root=clip, length=36),
    "t5": lambda clip, t5: T5(root=t5, length=40),
    "t5-bfloat16": lambda clip, t5: T5(root=t5, length=40, precision="bfloat16"),
}


class TestEveryEncoder(TextSuite):
    @pytest.fixture(autouse=True, params=BUILDS)
    def encoder(self, request, clip, t5):
        self.built = BUILDS[request.param](clip, t5)

    def component(self):
        return self.built


@torch.no_grad()
def test_the_tokens_of_clip_are_what_its_last_layer_says(clip):
    from transformers import AutoTokenizer, CLIPTextModel

    given = AutoTokenizer.from_pretrained(clip)(TEXTS, padding=True, return_tensors="pt")
    said = CLIPTextModel.from_pretrained(clip).eval()(**given).last_hidden_state
    context, mask = CLIP(root=clip, length=40).encode(TEXTS)
    assert mask.sum(1).tolist() == given["attention_mask"].sum(1).tolist()
    assert_close(context[mask], said[given["attention_mask"].bool()])


@torch.no_grad()
def test_the_tokens_of_t5_are_what_its_last_layer_says(t5):
    from transformers import AutoTokenizer, T5EncoderModel

    given = AutoTokenizer.from_pretrained(t5)(TEXTS, padding=True, return_tensors="pt")
    said = T5EncoderModel.from_pretrained(t5).eval()(**given).last_hidden_state
    context, mask = T5(root=t5).encode(TEXTS)
    assert context.shape == (2, 120, 12)
    assert_close(context[mask], said[given["attention_mask"].bool()])


def test_the_folder_of_a_diffusers_pipeline_will_do(clip, tmp_path):
    shutil.copytree(clip, tmp_path / "text_encoder", ignore=shutil.ignore_patterns("tokenizer*"))
    (tmp_path / "tokenizer").mkdir()
    for file in clip.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "tokenizer")
    found, wanted = CLIP(root=tmp_path, length=40), CLIP(root=clip, length=40)
    assert found.fingerprint == wanted.fingerprint
    assert torch.equal(found.encode(TEXTS).context, wanted.encode(TEXTS).context)


def test_a_whole_clip_will_do(clip, tmp_path):
    from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig

    from_text = json.loads((clip / "config.json").read_text())
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 1, "image_size": 8, "patch_size": 4}
    config = CLIPConfig(
        text_config=from_text, vision_config=CLIPVisionConfig(**vision).to_dict(), projection_dim=8
    )
    CLIPModel(config).save_pretrained(tmp_path)
    for file in clip.glob("tokenizer*"):
        shutil.copy(file, tmp_path)
    encoder = CLIP(root=tmp_path, length=40)
    assert encoder.encode(TEXTS).context.shape == (2, 40, encoder.width) == (2, 40, 16)


def test_a_text_goes_through_the_network_once(clip, cache):
    before = CLIP(root=clip, length=40).encode(TEXTS)
    again = CLIP(root=clip, length=40)
    object.__setattr__(again, "_network", None)
    assert torch.equal(again.encode(TEXTS[::-1]).context, before.context.flip(0))
    assert len(list(cache.glob("text-*.sqlite"))) == 1


def test_other_options_and_other_files_have_encodings_of_their_own(clip, cache, tmp_path):
    CLIP(root=clip, length=40).encode(TEXTS)
    CLIP(root=clip, length=39).encode(TEXTS)
    CLIP(root=clip, length=40, precision="bfloat16").encode(TEXTS)
    shutil.copytree(clip, tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(config.read_text() + "\n")
    CLIP(root=tmp_path / "other", length=40).encode(TEXTS)
    assert len(list(cache.glob("text-*.sqlite"))) == 4


def damage_a_row(file):
    with sqlite3.connect(file) as opened:
        opened.execute("UPDATE encoded SET tokens = zeroblob(length(tokens))")
    opened.close()


DAMAGES = {
    "row": damage_a_row,
    "file": lambda file: file.write_bytes(b"not a database, and long enough to be seen as such"),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:5000]),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("harm", DAMAGES)
def test_encodings_that_are_damaged_are_made_again(clip, cache, harm):
    before = CLIP(root=clip, length=40).encode(TEXTS)
    (file,) = cache.glob("text-*.sqlite")
    DAMAGES[harm](file)
    for _ in range(2):
        assert torch.equal(CLIP(root=clip, length=40).encode(TEXTS).context, before.context)


def test_a_cache_that_is_a_file_is_refused(clip, cache):
    cache.write_text("a file where a folder should be")
    with pytest.raises(ConfigError, match=r"which is no folder; set DIFFX_CACHE"):
        CLIP(root=clip, length=40).encode(TEXTS)


def test_a_cache_that_cannot_be_written_is_said(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / ("long" * 100)))
    with pytest.raises(ConfigError, match=r"encoded texts cannot be kept in .*; set DIFFX_CACHE"):
        CLIP(root=clip, length=40).encode(TEXTS)


@pytest.fixture
def broken(clip, tmp_path):
    """A copy of the files of a CLIP, to be damaged."""
    return shutil.copytree(clip, tmp_path / "broken")


def rewrite(**changes):
    def change(folder):
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return change


AT_ONCE = {
    "no-folder": (shutil.rmtree, "is no folder of a text encoder (config.json: No such file"),
    "no-json": (lambda f: (f / "config.json").write_text("{"), "is not the configuration of"),
    "a-list": (lambda f: (f / "config.json").write_text("[]"), "is not the configuration of"),
    "another": (rewrite(model_type="bert"), "of the kind 'bert', not 'clip_text_model'"),
    "no-weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
    "no-tokenizer": (
        lambda f: [file.unlink() for file in f.glob("tokenizer*")],
        "there are no files of a tokenizer",
    ),
    "no-index": (
        lambda f: (f / "model.safetensors.index.json").write_text("[]"),
        "is not an index of weights",
    ),
    "no-width": (rewrite(hidden_size=None), "config.json does not say hidden_size"),
    "few-places": (rewrite(max_position_embeddings=8), "length is 40, and the network has 8"),
}


@pytest.mark.parametrize("harm", AT_ONCE)
def test_a_folder_that_will_not_do_is_refused_before_it_is_read(broken, harm):
    damage, reason = AT_ONCE[harm]
    damage(broken)
    with pytest.raises(ConfigError) as caught:
        CLIP(root=broken, length=40)
    assert reason in str(caught.value)


def drop_a_tensor(folder):
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    save_file(dict(list(load_file(file).items())[1:]), file, metadata={"format": "pt"})


LATER = {
    "cut": (
        lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 99),
        "the network cannot be read",
    ),
    "lacking": (drop_a_tensor, "the weights lack"),
    "other-shape": (rewrite(intermediate_size=32), "fc1.bias is (24,), and must be (32,)"),
    "tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "the tokenizer cannot be"),
}


@pytest.mark.parametrize("harm", LATER)
def test_damaged_files_are_refused_when_they_are_read(broken, harm):
    damage, reason = LATER[harm]
    damage(broken)
    with pytest.raises(ConfigError) as caught:
        CLIP(root=broken, length=40).encode(TEXTS)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library_one_line_says_what_to_install(clip):
    code = f"""
import sys
sys.modules["transformers"] = None
from pathlib import Path
from diffx_backbones.text.pretrained import CLIP
CLIP(root=Path({str(clip)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'diffx-backbones[text]'" in done.stderr.splitlines()[-1]
