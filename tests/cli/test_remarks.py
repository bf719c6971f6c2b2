"""A process that keeps much of its data is used, with a remark."""

import pytest

POINTS = ("--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16")
SHORT = ("--train.steps", "1", "--train.batch_size", "8")

ANCHORED = """
import torch
from attrs import frozen
from diffx_core import Scheduler

@frozen(kw_only=True)
class Echo(Scheduler):
    def alpha(self, t):
        return torch.ones_like(t)

    def sigma(self, t):
        return 0.1 + t
"""
ANCHOR = """
    def anchor(self, cond):
        return None
"""


@pytest.mark.parametrize("mode", [("--dry-run",), SHORT], ids=["dry run", "training"])
def test_a_process_that_ends_with_data_left_is_remarked_upon_once(diffx, mode):
    flags = ("--scheduler", "vesde", "--scheduler.sigma_max", "2")
    result = diffx("train", *POINTS, *flags, *mode)
    assert result.rc == 0
    (line,) = (line for line in result.err.splitlines() if "note: " in line)
    assert "scheduler vesde (diffx-schedulers 0.1.0) ends at t = 1 with 0." in line


@pytest.mark.parametrize(
    "flags",
    [
        ["--train.warmup", "5000"],
        ["--ema.start", "5000"],
        ["--ema.kind", "power", "--ema.snapshot_every", "5000"],
    ],
    ids=lambda flags: flags[-2],
)
def test_what_training_ends_before_is_remarked_upon(diffx, flags):
    command = ("train", *POINTS, *flags, "--dry-run")
    result = diffx(*command, "--train.steps", "4999")
    assert result.rc == 0
    assert f"note: {flags[-2]} is 5000, more than --train.steps, which is 4999: " in result.err
    assert "note:" not in diffx(*command, "--train.steps", "5000").err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--validate.examples", "9"], "--validate.examples: examples has no effect without every"),
        (["--validate.patience", "9"], "--validate.patience: patience has no effect without every"),
        (["--preview.n", "4"], "--preview.n: n has no effect without every"),
        (["--preview.nfe", "4"], "--preview.nfe: nfe has no effect without every"),
        (["--nproc", "9"], "a batch of 8 for 9 processes leaves some without an example"),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", [["--dry-run"], []], ids=["dry run", "training"])
def test_what_would_have_no_effect_is_refused(diffx, flags, said, mode):
    result = diffx("train", *POINTS, *SHORT, *flags, *mode)
    assert result.rc == 2
    assert said in result.err


@pytest.mark.parametrize("scheduler", ["vpsde", "vesde", "rectified_flow"])
def test_the_usual_processes_need_no_remark(diffx, scheduler):
    assert "note:" not in diffx("train", *POINTS, "--scheduler", scheduler, "--dry-run").err


@pytest.mark.parametrize(("source", "remarks"), [(ANCHORED, 1), (ANCHORED + ANCHOR, 0)])
def test_an_anchored_process_may_keep_its_data(diffx, echo, source, remarks):
    (echo / "diffx_echo" / "echo.py").write_text(source)
    result = diffx("train", *POINTS, "--scheduler", "echo", "--dry-run")
    assert result.rc == 0, result.err
    assert result.err.count("note:") == remarks
