"""The page about training runs is true: its commands run, its tables are what happens."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from diffx_cli.__main__ import main
from diffx_cli.train.resuming import FREE
from diffx_core.engine.signals import exit_code
from diffx_core.options import OptimizerName, RateName, TrainOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "runs.md").read_text(encoding="utf-8")
SMALL = "--backbone mlp --backbone.width 16 --dataset toy2d"
PICTURES = "--backbone.channels 16 --backbone.mults 1,1,1"


def commands():
    return re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)


def size(command):
    """What makes a command of the page small; a run that goes on has its size already."""
    if "--resume runs/" in command:
        return []
    return shlex.split(PICTURES if "--preview" in command else SMALL)


@pytest.mark.slow
def test_the_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in commands():
        words = [*shlex.split(command), *size(command)]
        assert main(words) == 0, (command, capsys.readouterr().err)
    steps = sorted(one.name for one in Path("runs/first/checkpoints").iterdir())
    assert steps[-1] == "step-00000100"


def test_what_may_change_is_what_the_page_says():
    said = PAGE[PAGE.index("What may change:") : PAGE.index("Data whose files")]
    named = {one.removeprefix("train.") for one in re.findall(r"`([\w.]+)`", said)}
    assert {*FREE["train"]} | {"save", "preview", "validate"} == named


def test_the_exit_codes_of_signals_are_those_of_the_page():
    rows = dict(re.findall(r"^\| (SIGTERM|Ctrl-C)[^|]*\|[^|]*\| (\d+) \|$", PAGE, re.MULTILINE))
    assert {
        name: str(exit_code(signal))
        for name, signal in (("SIGTERM", "SIGTERM"), ("Ctrl-C", "SIGINT"))
    } == rows


@pytest.mark.parametrize("names", [OptimizerName, RateName])
def test_every_choice_is_named(names):
    assert {one for one in get_args(names) if f"`{one}`" not in PAGE} == set()
    assert TrainOptions().optimizer in get_args(OptimizerName)


def test_the_page_is_linked():
    assert "](docs/training/runs.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
