"""A checkpoint is whole or not there, and nothing in it is believed without its checksum."""

import json

import pytest
import torch

from diffx_core import CheckpointError
from diffx_core.engine.checkpoint import load_checkpoint, save_checkpoint

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3).t(), "n": torch.tensor(3)}
EMA = {name: value * 2 for name, value in WEIGHTS.items()}


@pytest.fixture
def run(tmp_path):
    save_checkpoint(tmp_path, 12, weights=WEIGHTS, ema=EMA, record={"seed": 3})
    return tmp_path


def test_what_was_saved_is_loaded(run):
    found = load_checkpoint(run)
    assert (found.step, found.record) == (12, {"seed": 3})
    for name, weight in WEIGHTS.items():
        assert torch.equal(found.weights[name], weight)
        assert torch.equal(found.ema[name], 2 * weight)


def test_a_checkpoint_folder_can_be_named_itself(run):
    assert load_checkpoint(run / "checkpoints" / "step-00000012").step == 12


def test_the_latest_is_the_last_that_was_saved(run):
    save_checkpoint(run, 20, weights=WEIGHTS, ema=EMA, record={})
    assert load_checkpoint(run).step == 20
    assert sorted(p.name for p in run.iterdir()) == ["checkpoints", "latest"]
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == [
        "step-00000012",
        "step-00000020",
    ]


FILES = ["model.safetensors", "ema.safetensors", "record.json", "manifest.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "empty"])
def test_every_damage_is_noticed(run, name, damage):
    path = run / "checkpoints" / "step-00000012" / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        kept = {"flip": content, "truncate": content[:-7], "empty": b""}[damage]
        path.write_bytes(kept)
    with pytest.raises(CheckpointError, match="step-00000012"):
        load_checkpoint(run)


@pytest.mark.parametrize("text", ["../../etc", "step-99999999", "", "/", "step-1/../.."])
def test_a_pointer_to_somewhere_else_is_refused(run, text):
    (run / "latest").write_text(text)
    with pytest.raises(CheckpointError):
        load_checkpoint(run)


def test_tied_weights_are_saved(tmp_path):
    tied = {"a": WEIGHTS["n"], "b": WEIGHTS["n"]}
    save_checkpoint(tmp_path, 1, weights=tied, ema=tied, record={})
    assert torch.equal(load_checkpoint(tmp_path).weights["b"], WEIGHTS["n"])


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        load_checkpoint(tmp_path)


def test_another_format_is_refused_by_sentence(run):
    path = run / "checkpoints" / "step-00000012" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(CheckpointError, match="written in format 99, this diffx reads format 1"):
        load_checkpoint(run)


def test_a_save_that_fails_leaves_nothing_and_keeps_the_old(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diffx_core.engine.checkpoint.save_file", full)
    with pytest.raises(CheckpointError, match="step-00000020: No space left on device"):
        save_checkpoint(run, 20, weights=WEIGHTS, ema=EMA, record={})
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["step-00000012"]
    assert load_checkpoint(run).step == 12
