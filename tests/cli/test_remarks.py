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


@pytest.mark.parametrize("scheduler", ["vpsde", "vesde", "rectified_flow"])
def test_the_usual_processes_need_no_remark(diffx, scheduler):
    assert "note:" not in diffx("train", *POINTS, "--scheduler", scheduler, "--dry-run").err


@pytest.mark.parametrize(("source", "remarks"), [(ANCHORED, 1), (ANCHORED + ANCHOR, 0)])
def test_an_anchored_process_may_keep_its_data(diffx, echo, source, remarks):
    (echo / "diffx_echo" / "echo.py").write_text(source)
    result = diffx("train", *POINTS, "--scheduler", "echo", "--dry-run")
    assert result.rc == 0, result.err
    assert result.err.count("note:") == remarks
