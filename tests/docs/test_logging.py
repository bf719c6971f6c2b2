"""The page about logging is true: it has every logger with its options, and the files are there."""

import re
from pathlib import Path

from diffx_cli.train.watching import CURVE, METRICS, SAMPLES
from diffx_core.config import options_of
from diffx_core.plugins import Registry

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "logging.md").read_text(encoding="utf-8")


def test_the_table_has_every_logger_with_its_options():
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*)\|$", PAGE, re.MULTILINE)
    named = {name: re.findall(r"`(\w+)`", options) for name, options in rows}
    ours = [one for one in Registry.load({}).all("logger") if one.distribution == "diffx-loggers"]
    assert named == {one.name: [option.name for option in options_of(one.load())] for one in ours}


def test_the_files_are_those_that_are_written():
    files = set(re.findall(r"^\| `([\w.]+)[`/]", PAGE, re.MULTILINE))
    assert {METRICS, CURVE, SAMPLES} <= files


def test_the_page_is_linked():
    assert "](docs/training/logging.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
