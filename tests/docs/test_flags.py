"""Our pages and messages spell a flag as help does, so that a reader can look for it there."""

import re
from pathlib import Path

from diffx_core.config import flag

ROOT = Path(__file__).parents[2]
READ = ("*.md", "docs/**/*.md", "packages/*/src/**/*.py", "apps/*/src/**/*.py", "examples/**/*.md")
FLAG = re.compile(r"(?<![\w-])--(?:[a-z]\w*\.)?[a-z][\w-]*\w")


def misspelled(text):
    return [one for one in FLAG.findall(text) if one != flag(one[2:].replace("-", "_"))]


def test_flags_are_spelled_as_in_help():
    files = {file: file.read_text(encoding="utf-8") for one in READ for file in ROOT.glob(one)}
    assert {file: what for file, text in files.items() if (what := misspelled(text))} == {}


def test_the_search_finds_what_it_looks_for():
    text = "`--train.batch-size 8 --batch_size 8` --ema.sigma_rel=1 --dry-run `--x-y.z`"
    assert misspelled(text) == ["--train.batch-size", "--batch_size"]
