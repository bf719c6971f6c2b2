"""The page about images that are given is true: its commands run, one after the other."""

import re
import shlex
from pathlib import Path

import pytest

from diffx_cli.__main__ import main
from diffx_cli.commands import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "using" / "images.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
QUICKER = {
    "train": ["--train.steps", "2", "--train.batch-size", "8"],
    "sample": ["--steps", "2"],
    "edit": ["--steps", "2"],
    "inpaint": ["--steps", "2", "--sampler.resamples", "1"],
    "likelihood": ["--steps", "1", "--n", "4"],
    "latent-plot": ["--n", "40"],
}
"""What the test says of each command, so that it is quick."""


def quick(arguments):
    """The arguments, with less work to do."""
    given, added = arguments, QUICKER.get(arguments[0], [])
    for flag in added[::2]:
        if flag in given:
            place = given.index(flag)
            given = given[:place] + given[place + 2 :]
    return given + added


@pytest.mark.slow
def test_the_page_can_be_run_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for language, source in BLOCKS:
        if language == "python":
            exec(compile(source, "images.md", "exec"), {})  # running it is the test
            continue
        for line in source.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "diffx"
            assert main(quick(arguments)) == 0, line
    made = {"edited/grid.png", "inpainted/grid.png", "way/way.gif", "back/grid.png"}
    assert {file for file in made if (tmp_path / file).is_file()} == made
    assert (tmp_path / "plot" / "latent-plot.png").is_file()
    assert len([*(tmp_path / "run" / "likelihood").glob("*/likelihood.csv")]) == 1


@pytest.mark.parametrize("name", re.findall(r"`--([a-z][\w.-]*)[ `]", PAGE))
def test_the_options_of_the_page_are_there(name):
    known = {key for command in COMMANDS.values() for key in command.declared()}
    key = name.replace("-", "_")
    assert key in known or key.split(".")[0] in known
