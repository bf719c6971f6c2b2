"""The page about many samples is true: its commands run in their order and do what it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = (Path(__file__).parents[2] / "docs" / "sampling" / "samples.md").read_text("utf-8")
COMMANDS = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
SMALL = ["--preset", "tiny", "--train.batch-size", "16", "--train.steps", "2"]


def contents(folder):
    return {one.name: one.read_bytes() for one in Path(folder).rglob("*") if one.is_file()}


def diffx(*arguments):
    subprocess.run([sys.executable, "-m", "diffx_cli", *arguments], check=True)


@pytest.mark.slow
def test_the_commands_do_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    diffx("train", "--dataset.size", "8", *SMALL)
    for command in COMMANDS:
        diffx(*shlex.split(command))
    first, again = contents("digits"), contents("digits-again")
    assert set(first) - set(again) == {"trajectory.gif", "trajectory.png"}
    assert {name: first[name] for name in again} == again
    with np.load("many/samples.npz") as arrays, Image.open("many/images/00199.png") as last:
        assert arrays["arr_0"].shape == (200, 8, 8, 1)
        np.testing.assert_array_equal(arrays["arr_0"][199, :, :, 0], np.asarray(last))
