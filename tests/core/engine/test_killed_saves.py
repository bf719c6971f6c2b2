"""Whenever a process is killed in a save, the newest whole checkpoint is found.

Real processes, killed by SIGKILL after every single call of the system that a save makes.
"""

import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diffx_core import CheckpointError
from diffx_core.engine.averaging.snapshots import snapshots
from diffx_core.engine.checkpoint import load_checkpoint, newest
from diffx_core.engine.keeping import best
from diffx_core.engine.saver import Saver

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("killed_saves.py")
OLD, NEW, snapshot = map(runpy.run_path(str(SCRIPT)).get, ("OLD", "NEW", "snapshot"))
FILES = {
    "ema.safetensors",
    "manifest.json",
    "model.safetensors",
    "record.json",
    "training.safetensors",
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folders of runs that were killed a call later each, and the last that was not."""

    def runs(scenario):
        if scenario not in known:
            folder = tmp_path_factory.mktemp(scenario)
            subprocess.run([sys.executable, SCRIPT, folder, scenario], check=True, timeout=300)
            known[scenario] = sorted(folder.iterdir())
        return known[scenario]

    known = {}
    return runs


def marks(checkpoint):
    """The marks of all files of a checkpoint."""
    tensors = (checkpoint.weights, checkpoint.ema, checkpoint.training)
    numbers = {float(one) for part in tensors for one in part["mark"]}
    return numbers | {checkpoint.progress["mark"], checkpoint.record["mark"]}


@pytest.mark.parametrize("scenario", ["first", "next", "again"])
def test_a_save_makes_so_many_calls_that_a_kill_at_each_is_a_test(killed, scenario):
    assert len(killed(scenario)) > 30


def test_there_is_always_a_whole_checkpoint_and_never_half_of_one(killed):
    all_newest = [newest(run) for run in killed("next")]
    assert {one.skipped for one in all_newest} == {()}
    seen = [(one.checkpoint.step, marks(one.checkpoint)) for one in all_newest]
    first_new = seen.index((NEW, {2}))
    assert seen == [(OLD, {1})] * first_new + [(NEW, {2})] * (len(seen) - first_new)
    assert first_new > 20


def test_there_is_always_one_while_it_is_replaced(killed):
    all_newest = [newest(run) for run in killed("again")]
    assert {(one.checkpoint.step, one.skipped) for one in all_newest} == {(OLD, ())}
    seen = [marks(one.checkpoint) for one in all_newest]
    first_new = seen.index({2})
    assert seen == [{1}] * first_new + [{2}] * (len(seen) - first_new)


def test_the_latest_can_always_be_sampled(killed):
    for run in (*killed("next"), *killed("again")):
        assert marks(load_checkpoint(run)) in ({1}, {2})


def found(run):
    """The step of the newest, or what is said if there is none."""
    try:
        return newest(run).checkpoint.step
    except CheckpointError as error:
        return str(error)


def test_before_the_first_is_complete_there_is_none(killed):
    runs = killed("first")
    seen = list(map(found, runs))
    first_new = seen.index(NEW)
    none = [f"{run}: no complete checkpoint there" for run in runs[:first_new]]
    assert seen == none + [NEW] * (len(runs) - first_new)


def test_what_is_kept_of_a_step_is_there_before_its_checkpoint(killed):
    """Whoever goes on from the checkpoint never takes that step again."""
    seen = []
    for run in killed("averages"):
        kept = [(one.step, float(one.tensors()["mark"][0])) for one in snapshots(run)]
        assert kept == [(NEW, 2)] * len(kept)
        seen.append((newest(run).checkpoint.step, len(kept)))
    assert set(seen) == {(OLD, 0), (OLD, 1), (OLD, 2), (NEW, 2)}
    assert seen == sorted(seen)


def test_the_best_is_always_one_that_is_there(killed):
    for run in (*killed("first"), *killed("next"), *killed("again")):
        top = best(run)
        assert top is None or load_checkpoint(top.path).step == top.step


@pytest.mark.parametrize("scenario", ["first", "next", "again"])
def test_the_run_goes_on_and_nothing_is_left_of_what_was_killed(killed, tmp_path, scenario):
    for original in killed(scenario):
        run = shutil.copytree(original, tmp_path / original.name)
        saver = Saver(run, keep=1)
        assert not any(path.name.startswith(".") for path in run.glob("*/.*"))
        saver.save(snapshot(30, 3))
        saver.finish()
        assert marks(newest(run).checkpoint) == {3}
        whole = {path.name for path in (run / "checkpoints").glob("*/*")}
        assert whole == FILES
        assert {path.name for path in run.iterdir()} <= {"best", "checkpoints", "latest"}


@pytest.mark.parametrize("mine", [True, False])
def test_what_a_process_is_writing_is_left_to_it(tmp_path, mine):
    """A process of our own number is one that was killed in a container before this one."""
    with subprocess.Popen(["sleep", "600"]) as other:
        pid = os.getpid() if mine else other.pid
        partial = tmp_path / "checkpoints" / f".partial-step-00000012-{pid}"
        partial.mkdir(parents=True)
        Saver(tmp_path)
        assert partial.exists() is not mine
        other.send_signal(signal.SIGKILL)
    Saver(tmp_path)
    assert not partial.exists()


def test_files_of_others_are_not_cleared_away(tmp_path):
    for name in (".partial-notes", ".removed-step-12-x", "notes", ".git"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    before = sorted((tmp_path / "checkpoints").iterdir())
    saver = Saver(tmp_path)
    saver.save(snapshot(1, 1))
    saver.finish()
    assert set(before) < set((tmp_path / "checkpoints").iterdir())


def test_every_file_is_on_the_disk_before_the_checkpoint_has_its_name(tmp_path, monkeypatch):
    """What a power cut leaves is what was flushed: files, then their folder, then the name."""
    events, paths = [], {}
    originals = {name: getattr(os, name) for name in ("open", "write", "fsync", "rename")}

    def opened(path, *arguments, **options):
        descriptor = originals["open"](path, *arguments, **options)
        paths[descriptor] = Path(path).name
        return descriptor

    def recorded(name, key):
        def call(*arguments, **options):
            events.append((name, key(arguments)))
            return originals[name](*arguments, **options)

        return call

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "write", recorded("write", lambda a: paths[a[0]]))
    monkeypatch.setattr(os, "fsync", recorded("fsync", lambda a: paths[a[0]]))
    monkeypatch.setattr(os, "rename", recorded("rename", lambda a: Path(a[1]).name))
    saver = Saver(tmp_path)
    saver.save(snapshot(NEW, 2))
    saver.finish()
    named = events.index(("rename", "step-00000020"))
    for name in FILES:
        written = max(i for i, event in enumerate(events) if event == ("write", name))
        assert written < events.index(("fsync", name)) < named
    folder = f".partial-step-00000020-{os.getpid()}"
    manifest = events.index(("fsync", "manifest.json"))
    assert all(events.index(("fsync", name)) <= manifest for name in FILES)
    assert manifest < events.index(("fsync", folder)) < named
    assert named < events.index(("fsync", "checkpoints"))


MALICE = """
import os, pickle, sys
class Malice:
    def __reduce__(self):
        return os.system, (f"touch {sys.argv[1]}",)
sys.stdout.buffer.write(pickle.dumps(Malice()))
"""


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_in_a_checkpoint_is_executed(tmp_path, name):
    harm = tmp_path / "harm"
    payload = subprocess.run(
        [sys.executable, "-c", MALICE, harm], check=True, capture_output=True, timeout=60
    ).stdout
    run = tmp_path / "run"
    for step in (OLD, NEW):
        saver = Saver(run)
        saver.save(snapshot(step, 1))
        saver.finish()
    folder = run / "checkpoints" / "step-00000020"
    (folder / name).write_bytes(payload)
    for other in ("data.pkl", "model.pt", ".metadata", "rng.npy", "conftest.py"):
        (folder / other).write_bytes(payload)
    (folder / "config.yaml").write_text(f"!!python/object/apply:os.system ['touch {harm}']")
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)
    other = newest(run)
    assert other.checkpoint.step == OLD
    assert "step-00000020" in other.skipped[0]
    assert not harm.exists()


def test_a_manifest_of_other_files_is_refused(tmp_path):
    saver = Saver(tmp_path)
    saver.save(snapshot(NEW, 1))
    saver.finish()
    folder = tmp_path / "checkpoints" / "step-00000020"
    whole = (folder / "manifest.json").read_text()
    for name in ("../../../etc/passwd", "/etc/passwd", "model.pt", "record.json/.."):
        (folder / "manifest.json").write_text(whole.replace("training.safetensors", name))
        with pytest.raises(CheckpointError, match="does not list the files of a checkpoint"):
            load_checkpoint(folder)


def test_what_fills_memory_or_the_stack_is_refused(tmp_path):
    saver = Saver(tmp_path)
    saver.save(snapshot(NEW, 1))
    saver.finish()
    path = tmp_path / "checkpoints" / "step-00000020" / "manifest.json"
    for text in ("[" * 100_000, '{"format": 2, "files": 1}', '{"format": 2}', "1", "null", "\xff"):
        path.write_text(text, "latin-1")
        with pytest.raises(CheckpointError, match="step-00000020"):
            load_checkpoint(path.parent)


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from diffx_core.engine.saver import Saver
from diffx_core.engine.saving import Snapshot

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
saver = Saver(Path(sys.argv[1]), note=print)
for step, numbers in ((1, 8), (2, 1 << 20), (3, 8)):
    saver.save(Snapshot(step=step, weights={"w": torch.ones(numbers)}, ema={}))
saver.finish()
print([step for step, _ in saver.written()])
"""


def test_a_real_limit_of_the_size_of_files_is_survived(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    failed, mended, written = ended.stdout.splitlines()
    assert "step-00000002: File too large" in failed
    assert "step-00000003: saved again, after 1 that failed" in mended
    assert written == "[1, 3]"
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000001", "step-00000003"]
