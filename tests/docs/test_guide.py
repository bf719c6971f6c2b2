"""The guide for authors of plugins is true: what it begins with is made, its commands are ours."""

import re
import shlex
from pathlib import Path

import pytest

import diffx_core.testing
from diffx_cli.__main__ import main
from diffx_cli.commands import COMMANDS
from diffx_cli.line.grammar import parse
from diffx_core.plugins import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = [shlex.split(line) for block in BLOCKS for line in block.splitlines()]
INLINE = re.findall(r"`diffx ([\w-]+ [^`]+)`", PAGE)
ROWS = re.findall(r"^\| (\w+) \| `(\w+)` \| `diffx [^`]+` \|$", PAGE, re.MULTILINE)


def test_what_it_begins_with_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (made,) = [line[1:] for line in LINES if line[:2] == ["diffx", "new-plugin"]]
    assert main(made) == 0
    installed, tested = ([one[-1] for one in LINES if one[0] == name] for name in ("pip", "pytest"))
    (folder,) = [name.removesuffix("[test]") for name in installed]
    assert "test = [" in (tmp_path / folder / "pyproject.toml").read_text(encoding="utf-8")
    assert [[*(tmp_path / name).glob("test_*.py")] != [] for name in tested] == [True]


@pytest.mark.parametrize("line", [shlex.join(one[1:]) for one in LINES if one[0] == "diffx"])
def test_a_command_of_the_guide_is_understood(line):
    call = parse(shlex.split(line), COMMANDS)
    assert set(call.options) <= set(call.command.declared())


@pytest.mark.parametrize("line", INLINE)
def test_a_command_in_a_sentence_is_understood(line):
    call = parse(shlex.split(line), COMMANDS)
    assert set(call.options) <= set(call.command.declared())


def test_every_kind_has_its_suite():
    assert [kind for kind, _ in ROWS] == list(KINDS)
    assert all(getattr(diffx_core.testing, suite) for _, suite in ROWS)
