"""Every relative link, image and anchor in our pages leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", "packages/*/*.md", "apps/*/*.md", "examples/**/*.md")
    for file in ROOT.glob(pattern)
)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
LINKS = [
    pytest.param(page, link, id=f"{page.relative_to(ROOT)}:{link}")
    for page in PAGES
    for link in sorted(set(LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8")))))
    if not link.startswith(("https://", "http://"))
]


def anchors(page):
    """The anchors of a page's headings, as they are made on the web."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_pages_are_found():
    assert ROOT / "README.md" in PAGES
    assert len(LINKS) > len(PAGES)


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page, link):
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists()
    assert target.resolve().is_relative_to(ROOT)
    assert not anchor or anchor in anchors(target)
