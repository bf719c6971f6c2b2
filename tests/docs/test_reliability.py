"""Every promise of the page names a test that is there, and every line is a promise."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
CELL = r"[^|`]*(?:`[^|`]*`[^|`]*)?"
NAMED = [
    (path, name)
    for name, path in re.findall(
        rf"^\| {CELL}\| \[`(test_\w+)`\]\(\.\./(tests/\S+\.py)\) \|$", PAGE, re.MULTILINE
    )
]


def test_every_line_of_the_tables_is_read():
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    tables = PAGE.count("| promise | test |")
    assert len(NAMED) == len(lines) - 2 * tables
    assert len(set(NAMED)) == len(NAMED)
    assert tables > 3


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_of_a_promise_is_there(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
