"""How long the answers take that need no torch, beside the time that importing torch takes.

Run with `pytest tests/benchmarks --benchmark-enable`. Nothing here asserts a time.
"""

import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-m", "diffx_cli"]

COMMANDS = {
    "import torch": ([sys.executable, "-c", "import torch"], 0),
    "python": ([sys.executable, "-c", "pass"], 0),
    "version": ([*PROGRAM, "--version"], 0),
    "help": ([*PROGRAM, "--help"], 0),
    "train help": ([*PROGRAM, "train", "--help"], 0),
    "list-plugins": ([*PROGRAM, "list-plugins"], 0),
    "usage error": ([*PROGRAM, "train", "stray"], 2),
    "unknown flag": ([*PROGRAM, "train", "--sheduler", "vesde"], 2),
}


@pytest.mark.parametrize(("command", "rc"), COMMANDS.values(), ids=COMMANDS)
def test_startup(benchmark, tmp_path, command, rc):
    def start():
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert benchmark.pedantic(start, rounds=5, warmup_rounds=1) == rc
