"""Whichever call of a save the disk refuses, the checkpoints that were there are as they were."""

import os
from errno import EDQUOT, EIO, ENOSPC
from itertools import count

import pytest
import torch

from diffx_core import CheckpointError
from diffx_core.engine.checkpoint import newest
from diffx_core.engine.saver import Saver
from diffx_core.engine.saving import Snapshot, save_checkpoint

pytestmark = pytest.mark.slow
CALLS = ("open", "write", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir")
NEEDS_ROOM = ("open", "write", "fsync", "mkdir")
OLD, NEW = 12, 20


def snapshot(step, mark):
    marked = {"mark": torch.full((64,), float(mark))}
    return Snapshot(step=step, weights=marked, ema=marked, training=marked)


def refuse(monkeypatch, error, calls):
    """One call is refused with EIO; no call that needs room succeeds on a disk that is full."""
    left, refused = count(calls, -1), []

    def refusing(name, call):
        def called(*arguments, **options):
            if name == "open" and not arguments[1] & os.O_CREAT:
                return call(*arguments, **options)
            turn = next(left)
            if turn == 0 if error == EIO else turn <= 0 and name in NEEDS_ROOM:
                refused.append(name)
                raise OSError(error, os.strerror(error))
            return call(*arguments, **options)

        return called

    for name in CALLS:
        monkeypatch.setattr(os, name, refusing(name, getattr(os, name)))
    return refused


def complaint(run, taken):
    """What is said of a save, if anything."""
    try:
        save_checkpoint(run, taken)
    except CheckpointError as error:
        return str(error)
    return None


@pytest.mark.parametrize("step", [NEW, OLD], ids=["next", "again"])
@pytest.mark.parametrize("error", [EIO, ENOSPC, EDQUOT])
def test_whatever_is_refused_there_is_a_whole_checkpoint(tmp_path, monkeypatch, error, step):
    places = set()
    for calls in count():
        run = tmp_path / str(calls)
        save_checkpoint(run, snapshot(OLD, 1))
        with monkeypatch.context() as patch:
            refused = refuse(patch, error, calls)
            said = complaint(run, snapshot(step, 2))
        after = newest(run)
        mark = float(after.checkpoint.weights["mark"][0])
        assert after.skipped == ()
        assert (after.checkpoint.step, mark) in ((OLD, 1), (step, 2))
        assert said is None or os.strerror(error) in said
        assert said is not None or (after.checkpoint.step, mark) == (step, 2)
        hidden = [path.name for path in (run / "checkpoints").glob(".*")]
        assert not hidden or set(refused) <= {"unlink", "rmdir"}
        Saver(run)
        save_checkpoint(run, snapshot(30, 3))
        assert newest(run).checkpoint.step == 30
        assert not list((run / "checkpoints").glob(".*"))
        places.update(refused)
        if not refused:
            break
    assert places >= set(NEEDS_ROOM)
    assert calls > 20
