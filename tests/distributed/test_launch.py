"""Runs that launchers start, as people and clusters do it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest
import torch

from diffx_cli.__main__ import main
from diffx_core.engine.layout import checkpoints, step_of
from ranked import free_port

POINTS = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16", "--device", "cpu"]
OPTIONS = ["--train.batch_size", "8", "--train.log_every", "1", "--save.every", "5"]
COMMAND = ["-m", "diffx_cli", "train", *POINTS, *OPTIONS, "--out", "run"]
LATE = 300
"""Seconds after which a program hangs: on a busy machine, starting it takes most of a minute."""


@pytest.fixture
def started(tmp_path):
    """Starts programs, none of which outlives the test."""
    # they hear that the terminal is closed also where the tests run under nohup
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    running = []

    def start(*arguments):
        running.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return running[-1]

    yield start
    for one in running:
        with one:
            one.kill()
    signal.signal(signal.SIGHUP, before)


def rank_of(launcher, rank):
    """The process of a rank that a launcher has started."""
    for task in Path(f"/proc/{launcher.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if f"\0RANK={rank}\0" in f"\0{Path(f'/proc/{child}/environ').read_text()}":
                return int(child)
    raise LookupError(f"there is no process {rank}")


def until(process, text):
    """Read what a process complains until it says something."""
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


def until_saved(process, run, step):
    """Wait until a run has saved a step, or a later one: the earlier ones are soon deleted."""
    while not any((step_of(one) or 0) >= step for one in checkpoints(run)):
        assert process.poll() is None, process.communicate()
        sleep(0.01)


def steps(folder):
    rows = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [row["step"] for row in map(json.loads, rows) if "loss" in row]


@pytest.mark.slow
def test_a_signal_to_the_launcher_ends_all_after_a_save(started, tmp_path):
    run = started(*COMMAND, "--nproc", "2", "--train.steps", "100000")
    until_saved(run, tmp_path / "run", 5)
    run.send_signal(signal.SIGTERM)
    said, complained = run.communicate(timeout=LATE)
    assert run.returncode == 143, complained
    newest, *_ = checkpoints(tmp_path / "run")
    assert f"ended after step {step_of(newest)} of 100000: SIGTERM; saved in run" in said
    assert complained.endswith("diffx: error: stopped by SIGTERM\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGHUP", "SIGKILL"])
def test_a_launcher_that_goes_lets_all_save_and_end(started, tmp_path, name):
    run = started(*COMMAND, "--nproc", "2", "--train.steps", "100000")
    until_saved(run, tmp_path / "run", 10)
    run.send_signal(getattr(signal, name))
    said, complained = run.communicate(timeout=LATE)  # its processes have the same pipes
    assert run.returncode == {"SIGHUP": 143, "SIGKILL": -9}[name], complained
    newest, *_ = checkpoints(tmp_path / "run")
    assert step_of(newest) == steps(tmp_path)[-1] >= 10
    reason = {"SIGHUP": "SIGHUP", "SIGKILL": "its launcher is gone"}[name]
    assert f"ended after step {step_of(newest)} of 100000: {reason}; saved in run" in said
    assert "death signal" not in complained


@pytest.mark.slow
def test_a_run_whose_process_was_killed_is_started_again_and_goes_on(started, tmp_path):
    again = ["--nproc", "2", "--max-restarts", "1", "--train.steps", "300"]
    run = started(*COMMAND, *again)
    until(run, "step 30/300")
    os.kill(rank_of(run, 1), signal.SIGKILL)
    said, complained = run.communicate(timeout=LATE)
    assert run.returncode == 0, complained
    assert said == "trained: run\nsample it: diffx sample run\n"
    assert steps(tmp_path) == list(range(1, 301))
    assert "process 1 was ended by SIGKILL" in complained
    assert complained.count("all processes are started again, and may be 0 times more") == 1


@pytest.mark.slow
def test_what_would_only_happen_again_does_not_start_them_again(started, tmp_path):
    data = ["--dataset", "image_folder", "--dataset.root", "nowhere", "--device", "cpu"]
    run = started("-m", "diffx_cli", "train", *data, "--nproc", "2", "--max-restarts", "2")
    _, complained = run.communicate(timeout=LATE)
    assert run.returncode == 4
    assert complained.count("diffx: error: ") == 1
    assert "started again" not in complained


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("cpu:0x", "--device 'cpu:0x' cannot be used here"),
        ("meta", "--device meta: several processes need --device cpu"),
    ],
)
def test_a_device_that_they_cannot_have_is_refused_before_they_start(capfd, device, reason):
    small = ("--dataset", "toy2d", "--backbone", "mlp", "--nproc", "2", "--max-restarts", "1")
    assert main(["train", *small, "--device", device]) == 2
    complained = capfd.readouterr().err
    assert complained.startswith(f"diffx: error: {reason}")
    assert complained.count("\n") == 1


def test_more_processes_than_accelerators_are_refused_before_they_start(capfd, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    small = ("--dataset", "toy2d", "--backbone", "mlp", "--nproc", "2", "--device", "cuda")
    assert main(["train", *small]) == 2
    assert capfd.readouterr().err == (
        "diffx: error: --nproc: 2 processes need an accelerator each, of which there are 1:"
        " take so many, or --device cpu\n"
    )


@pytest.mark.parametrize("command", ["train", "sample"])
def test_one_of_several_processes_starts_no_others(monkeypatch, capsys, command):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert main([command, "--nproc", "2"]) == 2
    assert "leave out --nproc, or unset them" in capsys.readouterr().err


@pytest.mark.slow
def test_two_machines_train_one_run(started, tmp_path):
    torchrun = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    train = [*COMMAND, "--train.steps", "20"]
    with free_port() as port:
        where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "1"]
        here = ["--local-addr", "127.0.0.1"]
        nodes = [started(*torchrun, *where, *here, *train) for _ in range(2)]
        said = [node.communicate(timeout=LATE) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    assert sorted(one for one, _ in said) == ["", "trained: run\nsample it: diffx sample run\n"]
    assert steps(tmp_path) == list(range(1, 21))


ELSEWHERE = [
    "unshare",
    "--map-root-user",
    "--uts",
    "sh",
    "-c",
    'hostname no.invalid; exec "$@"',
    "-",
]


@pytest.mark.slow
def test_a_machine_need_not_be_able_to_look_up_its_own_name(tmp_path):
    if subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a system where a user may give a machine another name")
    command = [*ELSEWHERE, sys.executable, *COMMAND, "--nproc", "2", "--train.steps", "3"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=LATE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert steps(tmp_path) == [1, 2, 3]
