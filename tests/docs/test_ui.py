"""The page about the page is true: what it says of limits, ports and commands."""

import re
import shlex
from pathlib import Path

from diffx_cli.commands import COMMANDS
from diffx_cli.commands.ui import LIBRARIES, UiOptions
from diffx_cli.line.grammar import parse
from diffx_cli.ui.asking import MOST_SAMPLES, MOST_STEPS

PAGE = (Path(__file__).parents[2] / "docs" / "using" / "ui.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_its_command_is_one_that_is_understood():
    (line,) = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
    call = parse(shlex.split(line), COMMANDS)
    assert call.command is COMMANDS["ui"]
    assert call.options == {"run": "runs/00000-vpsde-unet-digits"}


def test_its_figures_are_those_of_the_program():
    assert f"http://127.0.0.1:{UiOptions().port}/" in WORDS
    assert (
        f"At most {MOST_SAMPLES} samples are drawn at once, with at most {MOST_STEPS} steps"
        in WORDS
    )
    assert f"two small libraries, {' and '.join(LIBRARIES)}" in WORDS


def test_there_is_no_way_to_listen_elsewhere():
    assert set(COMMANDS["ui"].declared()) & {"host", "bind", "address", "listen"} == set()
