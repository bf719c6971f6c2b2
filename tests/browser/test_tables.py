"""Tables of the site fit beside its navigation, and no name in them is cut in two."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from markdown import markdown

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 745
"""Pixels that are left for a table in a window of 1280."""
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
FOUND = """() => [...document.querySelectorAll("table")].flatMap((table) => [
    ...(table.scrollWidth > table.clientWidth ? [`${table.scrollWidth} pixels`] : []),
    ...[...table.querySelectorAll("code")]
        .filter((code) => /^\\w+$/.test(code.innerText) && code.getClientRects().length > 1)
        .map((code) => code.innerText),
])"""


@pytest.fixture(scope="module")
def style():
    """What the theme and the site say of tables."""
    (theme,) = files("material").glob("templates/assets/stylesheets/main.*.min.css")
    return theme.read_text() + (DOCS / "_site" / "site.css").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["matrix", "training/recipes", "training/weights"])
def test_a_table_fits_and_cuts_no_name(page, style, name):
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    tables = "\n".join(markdown(one, extensions=["tables"]) for one in TABLE.findall(text))
    body = f'<div class="md-typeset" style="width: {WIDTH}px">{tables}</div>'
    page.set_content(f"<style>{style}</style>{body}")
    assert page.locator("td").count() > 20
    assert page.evaluate(FOUND) == []
