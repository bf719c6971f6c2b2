"""Saving beside training: a step waits for a copy, and no fault of a disk ends the run."""

import json
import os
import threading
from errno import EDQUOT, EIO, ENOSPC

import pytest
import torch
from attrs import frozen
from torch.testing import assert_close

from diffx_core import CheckpointError, ConfigError
from diffx_core.engine.averaging.snapshots import Kept, snapshots
from diffx_core.engine.checkpoint import load_checkpoint, newest
from diffx_core.engine.copies import Copies
from diffx_core.engine.keeping import best, drop_later, mark_best, prune
from diffx_core.engine.room import check_room
from diffx_core.engine.saver import Saver
from diffx_core.engine.saving import Snapshot, save_checkpoint


def snapshot(step):
    return Snapshot(
        step=step,
        weights={"w": torch.full((3, 2), float(step)).t(), "n": torch.tensor(step)},
        ema={"w": torch.full((2, 3), -float(step))},
        training={"m": torch.full((4,), step / 7)},
        progress={"step": step},
        record={"seed": 1},
    )


def steps(run):
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir())


@pytest.fixture
def gate(monkeypatch):
    """Nothing is written before it is opened."""
    opened, write = threading.Event(), os.write

    def gated(*arguments):
        opened.wait()
        return write(*arguments)

    monkeypatch.setattr(os, "write", gated)
    yield opened
    opened.set()


@pytest.fixture
def full(monkeypatch):
    """A disk on which nothing can be written while the set has an error in it."""
    errors, write = set(), os.write

    def failing(*arguments):
        for error in errors:
            raise OSError(error, os.strerror(error))
        return write(*arguments)

    monkeypatch.setattr(os, "write", failing)
    return errors


def test_what_is_changed_after_a_save_is_not_saved(tmp_path, gate):
    saver, taken = Saver(tmp_path), snapshot(4)
    saver.save(taken)
    for _, tensors in taken.files:
        for tensor in tensors.values():
            tensor.zero_()
    taken.progress["step"] = taken.record["seed"] = 0
    assert saver.written() == []
    gate.set()
    saver.finish()
    found, expected = load_checkpoint(tmp_path), snapshot(4)
    for part in ("weights", "ema", "training"):
        assert_close(getattr(found, part), getattr(expected, part), rtol=0, atol=0)
    assert (found.progress, found.record) == ({"step": 4}, {"seed": 1})


def test_a_shortage_of_memory_for_the_copy_says_what_is_not_saved(tmp_path, monkeypatch):
    def short(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Copies, "of", short)
    with pytest.raises(CheckpointError, match="step 4 cannot be saved: there is no memory for a"):
        Saver(tmp_path).save(snapshot(4))


def test_a_save_waits_for_the_one_before(tmp_path):
    saver = Saver(tmp_path)
    for step in range(1, 6):
        saver.save(snapshot(step))
        if step > 1:
            assert load_checkpoint(tmp_path / "checkpoints" / f"step-{step - 1:08d}")
    saver.finish()
    assert load_checkpoint(tmp_path).step == 5


def test_every_save_is_told_of_once_and_in_order(tmp_path):
    saver, told = Saver(tmp_path, keep=None), []
    for step in (1, 2, 3):
        saver.save(snapshot(step))
        assert saver.step == step
        told += saver.written()
    saver.finish()
    told += saver.written()
    assert told == [(step, tmp_path / "checkpoints" / f"step-{step:08d}") for step in (1, 2, 3)]
    assert saver.written() == []


def test_copies_are_made_in_the_memory_of_the_last_ones():
    copies = Copies()
    first = copies.of(snapshot(1))
    places = {name: one.data_ptr() for name, one in first.weights.items()}
    second = copies.of(snapshot(2))
    assert {name: one.data_ptr() for name, one in second.weights.items()} == places
    assert_close(second.weights, snapshot(2).weights, rtol=0, atol=0)


def test_copies_follow_tensors_that_come_go_or_change_their_shape():
    copies = Copies()
    copies.of(snapshot(1))
    other = Snapshot(step=2, weights={"w": torch.ones(5)}, ema={"new": torch.arange(3)})
    found = copies.of(other)
    assert_close(found.weights, other.weights, rtol=0, atol=0)
    assert_close(found.ema, other.ema, rtol=0, atol=0)
    assert found.training == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_copies_from_a_gpu_are_whole_and_pinned():
    weights = {"w": torch.arange(1 << 22, device="cuda").view(2048, 2048).t()}
    found = Copies().of(Snapshot(step=1, weights=weights, ema={})).weights["w"]
    weights["w"].zero_()
    assert found.is_pinned()
    assert torch.equal(found, torch.arange(1 << 22).view(2048, 2048).t())


@pytest.mark.parametrize("error", [ENOSPC, EIO, EDQUOT])
def test_saves_that_fail_are_noted_once_and_so_is_the_one_that_does_not(tmp_path, full, error):
    notes = []
    saver = Saver(tmp_path, note=notes.append)
    for step, errors in enumerate(([], [error], [error], [error], [], [], [error], []), 1):
        full.clear()
        full.update(errors)
        saver.save(snapshot(step))
        for thread in threading.enumerate():
            if thread.name == "diffx-save":
                thread.join()
    saver.finish()
    assert [step for step, _ in saver.written()] == [1, 5, 6, 8]
    assert steps(tmp_path) == [5, 6, 8]
    folder, words = tmp_path / "checkpoints", "training goes on, and each next save tries again"
    assert notes == [
        f"cannot write {folder / 'step-00000002'}: {os.strerror(error)}; {words}",
        f"{folder / 'step-00000005'}: saved again, after 3 that failed",
        f"cannot write {folder / 'step-00000007'}: {os.strerror(error)}; {words}",
        f"{folder / 'step-00000008'}: saved again, after 1 that failed",
    ]


def test_a_last_save_that_fails_is_an_error_and_the_one_before_is_whole(tmp_path, full):
    notes = []
    saver = Saver(tmp_path, note=notes.append)
    saver.save(snapshot(1))
    saver.finish()
    full.add(ENOSPC)
    saver.save(snapshot(2))
    with pytest.raises(CheckpointError, match="step-00000002: No space left on device"):
        saver.finish()
    assert (saver.step, notes) == (None, [])
    assert steps(tmp_path) == [1]
    assert newest(tmp_path).checkpoint.step == 1


def kept(step):
    return [Kept(step, 0.05, {"w": torch.full((3,), float(step))}, frozenset())]


def test_averages_are_copied_at_once_and_written_before_the_checkpoint(tmp_path, gate):
    saver, averages = Saver(tmp_path), kept(4)
    saver.save(snapshot(4), averages=averages)
    averages[0].state["w"].zero_()
    assert list(snapshots(tmp_path)) == []
    gate.set()
    saver.save_averages(kept(5))
    saver.finish()
    found = {one.step: float(one.tensors()["w"][0]) for one in snapshots(tmp_path)}
    assert (found, steps(tmp_path)) == ({4: 4.0, 5: 5.0}, [4])
    assert saver.step == 4


@pytest.mark.parametrize("alone", [True, False])
def test_averages_that_cannot_be_written_are_noted_and_cost_no_checkpoint(tmp_path, alone):
    notes = []
    saver = Saver(tmp_path, note=notes.append)
    (tmp_path / "averages").write_text("in the way")
    if alone:
        saver.save_averages(kept(1))
    saver.save(snapshot(1), averages=kept(1))
    saver.save_averages(kept(2))
    saver.finish()
    assert (steps(tmp_path), len(notes)) == ([1], 2)  # the first and the last
    assert all("cannot write" in line and "averages" in line for line in notes)
    (tmp_path / "averages").unlink()
    saver.save(snapshot(3), averages=kept(3))
    saver.finish()
    assert "step-00000003: saved again, after" in notes[-1]
    assert [one.step for one in snapshots(tmp_path)] == [3]


def test_a_note_that_nobody_asked_for_is_a_warning(tmp_path, full):
    saver = Saver(tmp_path)
    full.add(ENOSPC)
    saver.save(snapshot(1))
    with pytest.warns(RuntimeWarning, match="step-00000001: No space left on device"):
        saver.save(snapshot(2))
    with pytest.raises(CheckpointError, match="step-00000002"):
        saver.finish()


def test_what_is_wrong_with_the_snapshot_itself_ends_the_run(tmp_path):
    saver = Saver(tmp_path)
    saver.save(Snapshot(step=1, weights={}, ema={}, progress={"a": object()}))
    with pytest.raises(CheckpointError, match="not JSON serializable"):
        saver.finish()
    saver.save(Snapshot(step=2, weights={}, ema={}, progress={"a": object()}))
    with pytest.raises(CheckpointError, match="not JSON serializable"):
        saver.save(snapshot(3))


def fill(run, *which):
    for step in which:
        save_checkpoint(run, snapshot(step))


@pytest.mark.parametrize(
    ("keep", "left"), [(1, [6]), (2, [5, 6]), (9, [1, 2, 3, 4, 5, 6]), (None, [1, 2, 3, 4, 5, 6])]
)
def test_the_last_checkpoints_stay(tmp_path, keep, left):
    saver = Saver(tmp_path, keep=keep)
    for step in range(1, 7):
        saver.save(snapshot(step))
    saver.finish()
    assert steps(tmp_path) == left


@pytest.mark.parametrize("keep", [0, -1, 1.5, True])
def test_fewer_than_one_cannot_be_kept(tmp_path, keep):
    with pytest.raises(ConfigError, match="keep"):
        Saver(tmp_path, keep=keep)


def test_the_best_and_the_one_that_was_resumed_from_stay(tmp_path):
    fill(tmp_path, 1)
    saver = Saver(tmp_path, keep=1, protect=tmp_path / "checkpoints" / "step-00000001")
    for step, value in ((2, 0.5), (3, None), (4, 0.25), (5, None), (6, None)):
        saver.save(snapshot(step), best=value)
    saver.finish()
    assert steps(tmp_path) == [1, 4, 6]
    found = best(tmp_path)
    assert (found.step, found.value) == (4, 0.25)
    assert load_checkpoint(found.path).step == 4


def test_one_that_was_resumed_from_while_it_had_another_name_stays(tmp_path):
    """Its process was killed while it was being replaced, and has a number that none has now."""
    fill(tmp_path, 1)
    folder = tmp_path / "checkpoints" / "step-00000001"
    folder.rename(folder.with_name(f".replaced-step-00000001-{2**31}"))
    resumed = newest(tmp_path).checkpoint
    assert resumed.step == 1
    saver = Saver(tmp_path, keep=1, protect=resumed.path)
    for step in (2, 3, 4):
        saver.save(snapshot(step))
    saver.finish()
    assert steps(tmp_path) == [1, 4]


def test_the_one_just_saved_stays_though_there_are_later_ones(tmp_path):
    fill(tmp_path, 2, 7, 8, 9)
    saver = Saver(tmp_path, keep=2, protect=tmp_path / "checkpoints" / "step-00000002")
    saver.save(snapshot(3))
    saver.finish()
    assert steps(tmp_path) == [2, 3, 8, 9]


@pytest.mark.parametrize("name", ["manifest.json", "ema.safetensors"])
def test_one_that_is_damaged_does_not_count_as_one_of_the_last(tmp_path, name):
    fill(tmp_path, 1, 2, 3)
    (tmp_path / "checkpoints" / "step-00000003" / name).write_bytes(b"")
    assert prune(tmp_path, 1) == []
    assert steps(tmp_path) == [2, 3]
    assert newest(tmp_path).checkpoint.step == 2


def test_a_checkpoint_that_cannot_be_deleted_is_only_noted(tmp_path, monkeypatch):
    notes = []
    saver = Saver(tmp_path, keep=1, note=notes.append)
    saver.save(snapshot(1))
    saver.finish()
    rename = os.rename

    def stubborn(source, *arguments, **options):
        if str(source).endswith("step-00000001"):
            raise PermissionError(13, "Permission denied")
        return rename(source, *arguments, **options)

    monkeypatch.setattr(os, "rename", stubborn)
    saver.save(snapshot(2))
    saver.finish()
    assert newest(tmp_path).checkpoint.step == 2
    assert len(notes) == 1
    assert "step-00000001: cannot be deleted: Permission denied" in notes[0]


def test_nothing_is_deleted_while_it_is_not_known_which_is_the_best(tmp_path):
    fill(tmp_path, 1, 2, 3)
    for damage in ("", "[]", "{}", '{"step": 1e999, "value": 1}', "[" * 100_000):
        (tmp_path / "best").write_text(damage)
        (said,) = prune(tmp_path, 1)
        assert "no old checkpoints are deleted" in said
        with pytest.raises(CheckpointError, match="best: does not name a checkpoint"):
            best(tmp_path)
    assert steps(tmp_path) == [1, 2, 3]


def test_only_what_is_there_can_be_the_best(tmp_path):
    fill(tmp_path, 1)
    assert best(tmp_path) is None
    mark_best(tmp_path, 1, 0.5)
    with pytest.raises(CheckpointError, match="step-00000002: there is no such checkpoint"):
        mark_best(tmp_path, 2, 0.25)
    assert json.loads((tmp_path / "best").read_text()) == {
        "checkpoint": "step-00000001",
        "step": 1,
        "value": 0.5,
    }


def test_a_save_that_fails_does_not_become_the_best(tmp_path, full):
    saver = Saver(tmp_path)
    saver.save(snapshot(1), best=0.5)
    saver.finish()
    full.add(ENOSPC)
    saver.save(snapshot(2), best=0.25)
    with pytest.raises(CheckpointError):
        saver.finish()
    assert best(tmp_path).step == 1


def test_later_checkpoints_are_dropped_where_a_run_goes_another_way(tmp_path):
    fill(tmp_path, 1, 2, 3)
    mark_best(tmp_path, 3, 0.5)
    drop_later(tmp_path, 2)
    assert steps(tmp_path) == [1, 2]
    assert best(tmp_path) is None
    assert load_checkpoint(tmp_path).step == 2
    mark_best(tmp_path, 1, 0.5)
    drop_later(tmp_path, 1)
    assert best(tmp_path).step == 1
    with pytest.raises(CheckpointError, match="step-00000002: there is no such checkpoint"):
        drop_later(tmp_path, 2)


@frozen
class Usage:
    free: int


def test_a_run_without_room_for_two_checkpoints_is_refused(tmp_path, monkeypatch):
    volumes = {tmp_path: Usage(5_000_000_000)}
    monkeypatch.setattr("shutil.disk_usage", volumes.__getitem__)
    run = tmp_path / "runs" / "00000"
    check_room(run, 2_500_000_000)
    with pytest.raises(ConfigError, match=r"takes about 2\.51 GB.* 5 GB free"):
        check_room(run, 2_510_000_000)


def test_the_volume_that_is_asked_is_that_of_the_checkpoints(tmp_path, monkeypatch):
    (tmp_path / "large").mkdir()
    run = tmp_path / "small" / "run"
    run.mkdir(parents=True)
    (run / "checkpoints").symlink_to(tmp_path / "large")
    volumes = {tmp_path / "large": Usage(2000), run: Usage(10)}
    monkeypatch.setattr("shutil.disk_usage", lambda path: volumes[path.resolve()])
    check_room(run, 1000)
    with pytest.raises(ConfigError, match=r"takes about 1 kB.* 2 kB free"):
        check_room(run, 1001)
    saver = Saver(run)
    saver.save(snapshot(1))
    saver.finish()
    assert [path.name for path in (tmp_path / "large").iterdir()] == ["step-00000001"]
