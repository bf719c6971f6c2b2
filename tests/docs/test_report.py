"""The page about reports is true: its commands run, and it names the parts that there are."""

import re
import shlex
from pathlib import Path

import pytest

from diffx_cli.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
QUICKER = {
    "--train.steps": "2",
    "--train.batch-size": "8",
    "--validate.every": "2",
    "--validate.examples": "16",
    "--preset": "tiny",
    "--preview.n": "1",
    "--preview.nfe": "2",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder in which the commands of the page were run, with less work to do."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in re.search(r"```bash\n(.*?)```", PAGE, re.DOTALL)[1].splitlines():
            program, command, *words = shlex.split(line)
            assert program == "diffx"
            if command == "train":
                words = [one for pair in _pairs(words).items() for one in pair]
            assert main([command, *words]) == 0, line
    return folder


def _pairs(words):
    return dict(zip(words[::2], words[1::2], strict=True)) | QUICKER


def test_the_commands_make_pages(made):
    for name in ("runs/digits/report.html", "digits.html"):
        assert (made / name).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_table_has_the_parts_of_a_page(made):
    text = (made / "digits.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    rows = re.findall(r"^\| ([A-Z][^|]*?) \|", PAGE, re.MULTILINE)
    assert ", ".join(rows).lower() == ", ".join(headings).lower()


def test_the_page_is_linked():
    assert "](docs/report.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
