"""The page about many processes is true: its commands run in their order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from diffx_core.engine.layout import checkpoints, step_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "scale-out.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
SMALL = "--dataset toy2d --backbone mlp --backbone.width 16 --train.batch-size 8"


@pytest.mark.slow
def test_the_commands_run_in_their_order(tmp_path):
    for command in COMMANDS:
        small = shlex.split(SMALL) if command.startswith("train") else []
        done = subprocess.run(
            [sys.executable, "-m", "diffx_cli", *shlex.split(command), *small],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
    steps = [step_of(one) for one in checkpoints(tmp_path / "runs" / "two")]
    assert steps == [60, 40, 20]
    assert len(list((tmp_path / "runs" / "two" / "samples").iterdir())) == 1
