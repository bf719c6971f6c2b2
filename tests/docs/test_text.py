"""The page about texts is true: examples and commands run, the table lists what there is."""

import re
import shlex
from pathlib import Path

import pytest

from diffx_backbones.plugin import diffx_text_encoders
from diffx_cli.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "text.md").read_text(encoding="utf-8")
SOURCES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
QUICKER = {
    "train": ["--train.steps=2", "--train.batch_size=4", "--dataset.size=16"],
    "sample": ["--nfe", "2"],
}


@pytest.mark.slow
def test_the_examples_and_the_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    names = {}
    for source in SOURCES:
        exec(compile(source, "text.md", "exec"), names)
    out = capsys.readouterr().out
    assert "['a red wall', 'a white wall'] torch.Size([2, 16, 256])" in out
    Path("prompts.txt").write_text("a blue wall\na green wall\n", encoding="utf-8")
    for command in COMMANDS:
        name, *rest = shlex.split(command)
        assert main([name, *rest, *QUICKER[name]]) == 0, capsys.readouterr().err
    (run,) = Path("runs").iterdir()
    assert names["walls"](run).shape == (2, 3, 16, 16)


def test_the_table_lists_every_encoder():
    named = " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", named)) == {one.name for one in diffx_text_encoders()}


def test_the_page_is_linked():
    assert "](docs/training/text.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
