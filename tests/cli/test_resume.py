"""The same command again goes on, and says what it cannot go on with."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest
import torch
from safetensors.torch import load_file

POINTS = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
SMALL = [*POINTS, "--train.batch-size", "16", "--save.every", "2"]


def train(diffx, *flags, rc=0):
    result = diffx("train", *flags)
    assert result.rc == rc, result.err
    return result


def weights(run, step):
    folder = Path(run, "checkpoints", f"step-{step:08d}")
    return {
        name: load_file(folder / f"{name}.safetensors") for name in ("model", "ema", "training")
    }


def equal(one, other):
    return all(
        one[file].keys() == other[file].keys()
        and all(torch.equal(value, other[file][name]) for name, value in one[file].items())
        for file in one
    )


def lines(run):
    return [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def whole(diffx):
    train(diffx, *SMALL, "--train.steps", "6", "--train.log-every", "1", "--out", "whole")
    return "whole"


@pytest.mark.parametrize("again", ["the same command", "--resume", "a checkpoint", "auto"])
def test_a_run_goes_on_as_if_it_had_never_ended(diffx, whole, again):
    command = [*SMALL, "--train.log-every", "1"]
    where = [] if again == "auto" else ["--out", "half"]
    train(diffx, *command, *where, "--train.steps", "4")
    run = "runs/00000-vpsde-mlp-toy2d" if again == "auto" else "half"
    onwards = {
        "the same command": [*command, *where],
        "--resume": ["--resume", run],
        "a checkpoint": ["--resume", f"{run}/checkpoints/step-00000002"],
        "auto": [*command, "--resume", "auto"],
    }
    result = train(diffx, *onwards[again], "--train.steps", "6", "--json")
    assert json.loads(result.out) == {"run": run, "step": 6, "ended": None}
    assert equal(weights(whole, 6), weights(run, 6))
    assert [line["step"] for line in lines(run)] == [1, 2, 3, 4, 5, 6]
    assert [line["loss"] for line in lines(run)] == [line["loss"] for line in lines(whole)]
    assert "steps: 6" in Path(run, "config.yaml").read_text()


def test_a_checkpoint_is_found_from_where_it_is(diffx, monkeypatch):
    train(diffx, *SMALL, "--train.steps", "4", "--out", "run")
    for place, name in (("run/checkpoints", "step-00000002"), ("step-00000002", ".")):
        monkeypatch.chdir(place)
        result = diffx("train", "--resume", name, "--train.steps", "2", "--json")
        assert result.rc == 0, result.err
        assert json.loads(result.out)["step"] == 2
    assert Path("../../config.yaml").is_file()


def test_a_run_that_has_ended_is_left_as_it_is(diffx, whole):
    before = Path(whole, "checkpoints/step-00000006/manifest.json").stat().st_mtime_ns
    train(diffx, "--resume", whole)
    assert Path(whole, "checkpoints/step-00000006/manifest.json").stat().st_mtime_ns == before


def test_a_way_that_is_given_up_is_left_behind(diffx, whole):
    step = f"{whole}/checkpoints/step-00000002"
    result = train(diffx, "--resume", step, "--train.steps", "3")
    assert "goes on from step 2: removed step-00000004, step-00000006" in result.err
    steps = sorted(one.name for one in Path(whole, "checkpoints").iterdir())
    assert steps == ["step-00000002", "step-00000003"]
    assert Path(whole, "latest").read_text().strip() == "step-00000003"


def test_a_run_that_died_before_its_first_checkpoint_begins_again(diffx):
    command = [*SMALL, "--loggers", "csv", "--train.log-every", "1", "--out", "run"]
    train(diffx, *command, "--train.steps", "2")
    shutil.rmtree("run/checkpoints")
    Path("run/latest").unlink()
    train(diffx, *command, "--train.steps", "3")
    assert [line["step"] for line in lines("run")] == [1, 2, 3]
    assert weights("run", 3)
    shutil.rmtree("run/checkpoints")
    Path("run/latest").unlink()
    other = train(diffx, *command, "--train.lr", "0.5", rc=2)
    assert "--overwrite" in other.err


def test_auto_begins_a_run_if_there_is_none_of_the_same_command(diffx):
    train(diffx, *SMALL, "--train.steps", "2")
    train(diffx, *SMALL, "--train.steps", "2", "--seed", "1", "--resume", "auto")
    assert len(list(Path("runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train.lr", "0.5"], "the run has train.lr 0.002, not 0.5"),
        (["--seed", "4"], "the run has seed 0, not 4"),
        (["--backbone.depth", "9"], "the run has backbone.depth 3, not 9"),
        (["--scheduler", "vesde"], "diffx-schedulers:vpsde as its scheduler, not diffx-schedulers"),
        (["--ema.decay", "0.9"], "the run has ema.decay none, not 0.9"),
        (["--objective.scale_input", "false"], "objective.scale_input true, not false"),
        (["--validate.every", "2"], "the run keeps 0 examples from training, not 256"),
    ],
)
def test_another_run_is_never_mixed_into_one(diffx, whole, flags, message):
    before = {one: one.read_bytes() for one in Path(whole).rglob("*") if one.is_file()}
    result = train(diffx, *SMALL, *flags, "--train.steps", "9", "--out", whole, rc=2)
    assert message in result.err
    assert "--overwrite" in result.err
    assert before == {one: one.read_bytes() for one in Path(whole).rglob("*") if one.is_file()}


@pytest.mark.parametrize("how", ["--resume", "--out", "auto"])
def test_damage_is_passed_over_unless_it_was_asked_for(diffx, whole, how):
    damaged = Path(whole, "checkpoints/step-00000006/model.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    asked = train(diffx, "--resume", str(damaged.parent), "--train.steps", "8", rc=5)
    assert "model.safetensors" in asked.err
    onwards = ["--resume", whole] if how == "--resume" else [*SMALL, "--train.log-every", "1"]
    where = ["--out", whole] if how == "--out" else []
    if how == "auto":
        Path("runs").mkdir()
        Path(whole).rename("runs/00000-run")
        onwards, whole = [*onwards, "--resume", "auto"], "runs/00000-run"
    result = train(diffx, *onwards, *where, "--train.steps", "8")
    assert "an earlier checkpoint is used" in result.err
    assert [line["step"] for line in lines(whole)] == [*range(1, 9)]


def test_the_newest_checkpoint_counts_whatever_latest_says(diffx, whole):
    Path(whole, "latest").write_text("step-00000002\n")  # killed between the two
    result = train(diffx, "--resume", whole, "--train.steps", "7")
    assert "removed" not in result.err
    assert Path(whole, "checkpoints/step-00000006").is_dir()
    assert [line["step"] for line in lines(whole)] == [*range(1, 8)]


def test_fewer_steps_than_there_are_is_refused(diffx, whole):
    result = train(diffx, "--resume", whole, "--train.steps", "5", rc=2)
    assert "has taken 6 steps, more than train.steps, which is 5" in result.err


def test_weights_of_another_run_are_where_one_begins(diffx, whole):
    train(
        diffx,
        *SMALL,
        "--train.steps",
        "1",
        "--train.lr",
        "1e-30",
        "--out",
        "new",
        "--init-from",
        whole,
    )
    old, new = weights(whole, 6)["ema"], weights("new", 1)["model"]
    assert all(torch.equal(old[name], one) for name, one in new.items())
    again = train(diffx, "--config", "new/config.yaml", "--out", "again")
    assert again.rc == 0
    assert equal(weights("new", 1), weights("again", 1))
    longer = train(diffx, "--resume", "new", "--train.steps", "2")
    assert longer.rc == 0
    assert "init_from" in Path("new/config.yaml").read_text()
    onto = train(diffx, *SMALL, "--init-from", whole, "--out", whole, rc=2)
    assert "--overwrite" in onto.err
    wide = train(diffx, *SMALL, "--backbone.depth", "9", "--init-from", whole, rc=5)
    assert "the weights do not fit the backbone" in wide.err


def test_a_run_that_began_with_weights_goes_on_by_the_same_command(diffx, whole):
    command = [*SMALL, "--init-from", whole, "--out", "new"]
    train(diffx, *command, "--train.steps", "2")
    train(diffx, "--resume", whole, "--train.steps", "8")  # has newer weights from now on
    train(diffx, *command, "--train.steps", "4")
    assert "step-00000006\n" in Path("new/config.yaml").read_text()
    train(diffx, "--config", "new/config.yaml", "--out", "again")
    assert equal(weights("new", 4), weights("again", 4))
    shutil.rmtree("new/checkpoints")
    Path("new/latest").unlink()
    train(diffx, "--resume", "new")
    assert equal(weights("new", 4), weights("again", 4))
    other = train(diffx, *SMALL, "--init-from", "again", "--out", "new", rc=2)
    assert "step-00000006; name another folder with --out" in other.err


@pytest.mark.parametrize(
    ("flags", "rc", "message"),
    [
        (["--resume", "nowhere"], 5, "--resume nowhere: there is no run"),
        (["--resume", "whole", "--out", "other"], 2, "goes on in its own folder"),
        (["--resume", "whole", "--overwrite"], 2, "--resume and --overwrite exclude each other"),
        (["--resume", "whole", "--init-from", "whole"], 2, "exclude each other"),
        (["--init-from", "nowhere"], 5, "there is no such folder"),
    ],
)
def test_what_cannot_be_gone_on_with_is_said(diffx, whole, flags, rc, message):
    result = train(diffx, *flags, rc=rc)
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not Path("runs").exists()


def started(run, *flags):
    command = [sys.executable, "-m", "diffx_cli", "train", *SMALL, "--out", run, *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not Path(run, "latest").exists():
        assert process.poll() is None, process.communicate()
        sleep(0.01)
    return process


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGUSR1", 143)])
def test_a_signal_ends_a_run_after_its_step_with_a_checkpoint(diffx, name, code):
    process = started("run", "--train.steps", "1000000")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=100)
    assert process.returncode == code, err
    assert f"stopped by {name}" in err
    step = int(out.split("after step ")[1].split()[0])
    assert Path("run/latest").read_text().strip() == f"step-{step:08d}"
    train(diffx, *SMALL, "--train.steps", str(step + 1), "--out", "run")
    train(diffx, *SMALL, "--train.steps", str(step + 1), "--out", "whole")
    assert equal(weights("run", step + 1), weights("whole", step + 1))


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(diffx):
    process = started("run", "--train.steps", "1000000")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    last = max(int(one.name[5:]) for one in Path("run/checkpoints").glob("step-*"))
    train(diffx, *SMALL, "--train.steps", str(last + 3), "--out", "run")
    train(diffx, *SMALL, "--train.steps", str(last + 3), "--out", "whole")
    assert equal(weights("run", last + 3), weights("whole", last + 3))
    assert not Path("run/.partial").exists()


def test_the_best_checkpoint_is_that_of_the_way_that_is_gone(diffx):
    flags = [*SMALL, "--validate.every", "2", "--train.steps", "8", "--save.keep", "9"]
    train(diffx, *flags, "--out", "run")
    best = json.loads(Path("run/best").read_text())
    assert best["step"] > 4
    train(diffx, "--resume", "run/checkpoints/step-00000004", "--train.steps", "4")
    assert json.loads(Path("run/best").read_text())["step"] == 4


def test_a_best_checkpoint_that_was_killed_before_it_was_named_so_is_named(diffx):
    flags = [*SMALL, "--validate.every", "4", "--out", "run"]
    train(diffx, *flags, "--train.steps", "4")
    named = Path("run/best").read_bytes()
    Path("run/best").unlink()
    train(diffx, *flags, "--train.steps", "5")
    assert Path("run/best").read_bytes() == named
