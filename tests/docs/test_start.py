"""The quick start is true: its commands run in their order, made small, and make what it says."""

import re
import shlex
from pathlib import Path

import pytest

from diffx_cli.__main__ import main
from diffx_cli.recipes import recipes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = [shlex.split(line) for block in BLOCKS for line in block.splitlines()]
QUICKER = {
    "train": {"--train.steps": "2", "--train.batch-size": "8"},
    "sample": {"--n": "4", "--nfe": "3"},
    "evaluate": {"--n": "16", "--nfe": "2", "--repeats": "1", "--reference": "64"},
}
"""What the test says of each command, so that it is quick."""
ELSEWHERE = {("doctor", "--quick")}
"""Run by tests of their own."""


def quick(arguments):
    """The arguments, with less work to do."""
    said = {**QUICKER.get(arguments[0], {})}
    kept, at = [], 0
    while at < len(arguments):
        step = 2 if arguments[at] in said else 1
        kept += arguments[at : at + step] if step == 1 else []
        at += step
    return kept + [word for pair in said.items() for word in pair]


@pytest.mark.slow
def test_the_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    for program, *arguments in LINES:
        if program == "diffx" and tuple(arguments) not in ELSEWHERE:
            assert main(quick(arguments)) == 0, (arguments, capsys.readouterr().err)
    made = {"rings/samples.safetensors", "threes/grid.png", "all/trajectory.gif", "all/sample.json"}
    assert {name for name in made if Path(name).is_file()} == made
    again = re.findall(r"`diffx (sample --from \S+)`", PAGE)
    assert [main(shlex.split(line)) for line in again] == [0]
    assert [one.name for one in Path("runs").iterdir() if "vesde" in one.name] == []


def test_the_mistake_is_answered_as_shown(capsys):
    ((line, answer),) = re.findall(r"^\$ diffx (.*)\n(.*)$", PAGE, re.MULTILINE)
    assert main(shlex.split(line)) == 2
    assert capsys.readouterr().err.strip() == answer


def test_the_other_lines_are_of_the_makefile_and_its_environment():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    others = [line for line in LINES if line[0] != "diffx"]
    assert others == [["make", "install"], ["source", ".venv/bin/activate"]]
    assert re.search(r"^install:", makefile, re.MULTILINE)
    assert "VENV := .venv" in makefile


def test_the_recipe_is_one():
    named = {line[line.index("--recipe") + 1] for line in LINES if "--recipe" in line}
    assert named <= set(recipes())
