"""A checkpoint is whole or not there, and nothing in it is believed without its checksum."""

import hashlib
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from diffx_core import CheckpointError
from diffx_core.engine.checkpoint import load_checkpoint, newest
from diffx_core.engine.saving import Snapshot, save_checkpoint
from diffx_core.engine.tensors import cast

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3).t(), "n": torch.tensor(3)}
EMA = {name: value * 2 for name, value in WEIGHTS.items()}
TRAINING = {"optimizer.0.exp_avg": torch.arange(6.0) / 7}
PROGRESS = {"scale": 2.0**15, "lr": 0.1 + 0.2, "best": math.inf, "names": ["a", None]}


def snapshot(step, **changes):
    """A run at a step, with a tensor that tells the step."""
    parts = {
        "weights": {**WEIGHTS, "step": torch.tensor(step)},
        "ema": EMA,
        "training": TRAINING,
        "progress": PROGRESS,
        "record": {"seed": 3},
    }
    return Snapshot(step=step, **{**parts, **changes})


@pytest.fixture
def run(tmp_path):
    save_checkpoint(tmp_path, snapshot(12))
    return tmp_path


@pytest.fixture
def folder(run):
    return run / "checkpoints" / "step-00000012"


def equal(one, other):
    assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    return True


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_loaded(run):
    found = load_checkpoint(run)
    assert (found.step, found.record, found.progress) == (12, {"seed": 3}, PROGRESS)
    assert equal(found.weights, {**WEIGHTS, "step": torch.tensor(12)})
    assert equal(found.ema, EMA)
    assert equal(found.training, TRAINING)


def test_the_folder_of_a_checkpoint_can_be_named_itself(folder):
    assert load_checkpoint(folder).step == 12


def test_the_latest_is_the_last_that_was_saved(run):
    save_checkpoint(run, snapshot(20))
    assert load_checkpoint(run).step == 20
    assert names(run) == ["checkpoints", "latest"]
    assert names(run / "checkpoints") == ["step-00000012", "step-00000020"]


def test_the_manifest_lists_exactly_the_files_that_are_there(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    del files["manifest.json"]
    assert set(files) == {
        "model.safetensors",
        "ema.safetensors",
        "training.safetensors",
        "record.json",
    }
    assert manifest["files"] == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }


def test_what_training_needs_is_a_file_only_if_there_is_any(tmp_path):
    folder = save_checkpoint(tmp_path, snapshot(1, training={}))
    assert names(folder) == [
        "ema.safetensors",
        "manifest.json",
        "model.safetensors",
        "record.json",
    ]
    assert load_checkpoint(folder).training == {}


@pytest.mark.parametrize("how", ["flip", "remove", "empty"])
def test_a_part_alone_is_loaded_though_others_are_damaged_or_gone(folder, how):
    for name in ("training.safetensors", "model.safetensors"):
        damage(folder / name, how)
    found = load_checkpoint(folder, ["ema"])
    assert equal(found.ema, EMA)
    assert (found.weights, found.training) == ({}, {})


def test_a_checkpoint_of_format_1_is_read(tmp_path):
    folder = tmp_path / "checkpoints" / "step-00000007"
    folder.mkdir(parents=True)
    plain = {name: value.contiguous() for name, value in WEIGHTS.items()}
    save_file(plain, folder / "model.safetensors")
    save_file(plain, folder / "ema.safetensors")
    record = {"format": 1, "step": 7, "run": {"seed": 5}}
    (folder / "record.json").write_text(json.dumps(record))
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "sha256": sums}))
    (tmp_path / "latest").write_text("step-00000007\n")
    found = load_checkpoint(tmp_path)
    assert (found.step, found.record) == (7, {"seed": 5})
    assert (found.training, found.progress) == ({}, {})
    assert equal(found.ema, WEIGHTS)
    assert newest(tmp_path).checkpoint.step == 7


def test_another_format_is_refused_by_sentence(run, folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(CheckpointError, match="written in format 99, this diffx reads formats 1"):
        load_checkpoint(run)


FILES = [
    "model.safetensors",
    "ema.safetensors",
    "training.safetensors",
    "record.json",
    "manifest.json",
]


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "remove":
        path.unlink()
        return
    content[len(content) // 2] ^= 1
    path.write_bytes({"flip": content, "truncate": content[:-7], "empty": b""}[how])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["flip", "truncate", "remove", "empty"])
def test_every_damage_is_noticed(run, folder, name, how):
    damage(folder / name, how)
    for path in (run, folder):
        with pytest.raises(CheckpointError, match="step-00000012"):
            load_checkpoint(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["flip", "truncate", "remove", "empty"])
def test_the_newest_that_is_whole_is_found_and_the_others_are_named(run, name, how):
    damage(save_checkpoint(run, snapshot(20)) / name, how)
    found = newest(run)
    assert found.checkpoint.step == 12
    assert equal(found.checkpoint.weights["step"], torch.tensor(12))
    (said,) = found.skipped
    assert "step-00000020" in said


@pytest.mark.parametrize("text", ["../../etc", "step-99999999", "", "/", "step-1/../..", None])
def test_a_pointer_to_somewhere_else_is_refused_and_the_newest_does_not_need_it(run, text):
    if text is None:
        (run / "latest").unlink()
    else:
        (run / "latest").write_text(text)
    with pytest.raises(CheckpointError):
        load_checkpoint(run)
    found = newest(run)
    assert (found.checkpoint.step, found.skipped) == (12, ())


def test_the_newest_is_the_one_of_most_steps_whatever_the_digits(tmp_path):
    for step in (99_999_999, 100_000_000, 5):
        save_checkpoint(tmp_path, snapshot(step))
    assert newest(tmp_path).checkpoint.step == 100_000_000


def test_without_a_whole_one_every_complaint_is_raised(run, folder):
    damage(folder / "record.json", "flip")
    damage(save_checkpoint(run, snapshot(20)) / "model.safetensors", "empty")
    with pytest.raises(CheckpointError) as caught:
        newest(run)
    assert ["step-00000020" in one for one in caught.value.problems] == [True, False, False]
    assert "no complete checkpoint" in caught.value.problems[-1]


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="no complete checkpoint there"):
        newest(tmp_path)


def test_one_of_the_same_step_is_replaced(run, folder):
    save_checkpoint(run, snapshot(12, record={"seed": 4}, training={}))
    assert load_checkpoint(run).record == {"seed": 4}
    assert names(run / "checkpoints") == ["step-00000012"]
    assert "training.safetensors" not in names(folder)


def test_saving_over_the_checkpoint_that_was_loaded_is_right(run):
    found = load_checkpoint(run)
    moved = {name: value + 1 for name, value in found.weights.items()}
    again = snapshot(12, weights=moved, ema=found.ema, training=found.training)
    save_checkpoint(run, again)
    assert equal(found.ema, EMA)
    assert equal(load_checkpoint(run).weights["step"], torch.tensor(13))
    assert equal(load_checkpoint(run).training, TRAINING)


BASE = torch.arange(24.0)
KINDS = {
    "transposed": BASE.reshape(4, 6).t(),
    "every other": BASE[::2],
    "middle of a view": BASE[5:9],
    "expanded": BASE[:1].expand(3, 4),
    "channels last": BASE.reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "number": torch.tensor(3.5),
    "empty": torch.empty(0, 3),
    "bf16": BASE.to(torch.bfloat16) / 3,
    "fp16": BASE.half() / 3,
    "double": BASE.double() / 3,
    "counter": torch.tensor(2**62),
    "flags": BASE > 3,
    "bytes": torch.arange(255).byte(),
    "complex": torch.complex(BASE, -BASE).conj(),
    "not finite": torch.tensor([math.nan, math.inf, -0.0]),
    "learned": torch.nn.Parameter(BASE.clone()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tensor_is_saved_as_it_is(tmp_path, kind):
    value = KINDS[kind]
    folder = save_checkpoint(tmp_path, snapshot(1, weights={"x": value, "odd": BASE[:3].byte()}))
    for found in (load_checkpoint(folder).weights, load_file(folder / "model.safetensors")):
        assert found["x"].dtype == value.dtype
        assert equal(found["x"], value.detach().resolve_conj())


def test_tied_weights_are_saved_under_all_their_names(tmp_path):
    tied = {"a": BASE, "b": BASE, "part": BASE[3:7]}
    save_checkpoint(tmp_path, snapshot(1, weights=tied))
    assert equal(load_checkpoint(tmp_path).weights, tied)


def test_another_type_is_given_to_weights_and_not_to_counters(tmp_path):
    weights = {"w": BASE / 3, "double": BASE.double() / 3, "n": torch.tensor(3), "on": BASE > 1}
    save_checkpoint(tmp_path, snapshot(1, weights=cast(weights, torch.bfloat16)))
    found = load_checkpoint(tmp_path).weights
    assert {name: one.dtype for name, one in found.items()} == {
        "w": torch.bfloat16,
        "double": torch.bfloat16,
        "n": torch.int64,
        "on": torch.bool,
    }
    assert equal(found["w"], weights["w"].bfloat16())
    assert equal(found["n"], weights["n"])


def test_the_size_of_a_snapshot_is_that_of_its_files_but_for_headers(tmp_path):
    taken = snapshot(1)
    folder = save_checkpoint(tmp_path, taken)
    files = [path for path in folder.iterdir() if path.suffix == ".safetensors"]
    headers = [8 + int.from_bytes(path.read_bytes()[:8], "little") for path in files]
    assert taken.bytes == sum(path.stat().st_size for path in files) - sum(headers)


def test_a_tensor_that_cannot_be_saved_is_named(run):
    sparse = {"here": torch.eye(3).to_sparse()}
    with pytest.raises(CheckpointError, match=r"here: a torch\.sparse_coo tensor"):
        save_checkpoint(run, snapshot(20, weights=sparse))
    assert names(run / "checkpoints") == ["step-00000012"]


def test_what_is_no_json_is_refused_and_nothing_is_left(run):
    with pytest.raises(CheckpointError, match="step-00000020"):
        save_checkpoint(run, snapshot(20, progress={"a": object()}))
    assert names(run / "checkpoints") == ["step-00000012"]
