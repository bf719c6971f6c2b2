"""The site is built strictly, has a page for everything, and asks nobody for anything."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import diffx_core
from diffx_cli.commands import COMMANDS
from diffx_cli.components.checking import LAWS
from diffx_core.config import options_of
from diffx_core.plugins import KINDS
from diffx_docs.components import ours
from diffx_docs.links import relinked
from diffx_docs.markdown import entries, prose, references
from diffx_docs.signatures import signature

ROOT = Path(__file__).parents[2]
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
ELSEWHERE = re.compile(r"(?:https?:)?//")
OWN = ("canonical", "alternate", "next", "prev")
"""Links of a head that nobody follows by himself."""


class Page(HTMLParser):
    """What a page has anchors for, where its links lead, and what it fetches."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.fetched = {"", "__top"}, set(), set()
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.ids.add(told.get("id") or "")
        if tag == "a" and told.get("href"):
            self.links.add(told["href"])
        if tag in FETCHED and told.get(FETCHED[tag]) and told.get("rel") not in OWN:
            self.fetched.add(told[FETCHED[tag]])

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stdout.strip()
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {
        file.relative_to(site).as_posix(): Page(file.read_text(encoding="utf-8"))
        for file in site.rglob("*.html")
    }


def test_every_link_and_anchor_leads_somewhere(site, pages):
    lost = []
    for name, page in pages.items():
        if name == "404.html":  # its links are from the root of wherever the site is
            continue
        for link in page.links:
            path, _, anchor = unquote(link).partition("#")
            if ELSEWHERE.match(link):
                continue
            target = (site / name).parent / path if path else site / name
            target = target / "index.html" if target.is_dir() else target
            found = pages.get(os.path.relpath(target.resolve(), site.resolve()))
            if not target.is_file() or (found and anchor not in found.ids):
                lost.append((name, link))
    assert not lost


def test_nothing_comes_from_another_host(site, pages):
    assert {one for page in pages.values() for one in page.fetched if ELSEWHERE.match(one)} == set()
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//[^)]*", styles) == []


def test_every_component_has_a_page_with_its_options(pages):
    for one in ours().all():
        page = pages[f"components/{one.kind}/{one.name}.html"].text
        for option in options_of(one.load()):
            assert f"--{one.kind}.{option.name}" in page, (one.kind, one.name)
            assert not option.help or option.help.split("`")[0][:40] in page, option
        assert f"diffx check-plugin {one.name}" in page
    assert {one.kind for one in ours().all()} == set(KINDS)


def test_a_process_is_drawn(site):
    page = (site / "components" / "scheduler" / "rectified_flow.html").read_text(encoding="utf-8")
    data, noise, log_snr = (
        [tuple(map(float, pair.split(","))) for pair in points.split()]
        for points in re.findall(r'<polyline class="[\w-]+" points="([^"]+)"', page)
    )
    ends = [(line[0], line[-1]) for line in (data, noise)]
    assert ends == [((36, 36), (336, 206)), ((36, 206), (336, 36))]  # from one to zero and back
    assert data[60] == noise[60]  # where alpha is sigma
    assert log_snr[60] == (186, 121)  # as much data as noise
    assert [y for _, y in log_snr] == sorted(y for _, y in log_snr)


def test_every_kind_has_its_laws(pages):
    for kind, laws in LAWS.items():
        text = pages[f"components/{kind}/index.html"].text
        assert {law.name for law in laws if law.name not in text} == set()


def test_a_sampler_says_what_the_tables_say(pages):
    rows = re.findall(
        r"^\| unipc \|(.*)\|$", (ROOT / "docs/sampling/orders.md").read_text("utf-8"), re.MULTILINE
    )
    page = pages["components/sampler/unipc.html"].text
    assert len(rows) > 3
    for row in rows:
        assert row.rpartition("|")[2].strip() in page
    assert "rectified_flow" in page
    assert "refused" in pages["components/sampler/rk45.html"].text
    assert "3.03" in pages["components/scheduler/vesde.html"].text


def test_every_command_has_a_page_with_its_options(pages):
    for command in COMMANDS.values():
        page = pages[f"commands/{command.name}.html"].text
        for name in command.declared():
            flag = name if "." in name else name.replace("_", "-")
            assert f"--{flag}" in page, (command.name, name)
        assert all(example in page for example in command.examples)


def test_every_public_name_is_explained(pages):
    index = pages["api/index.html"]
    links = {link.partition("#")[2]: link for link in index.links if "#" in link}
    for name in diffx_core.__all__:
        assert name.lower() in links, name
        assert name in index.text
    without_a_word = set(re.findall(r"\n(\w+)\n\s*\n", index.text))
    assert without_a_word & set(diffx_core.__all__) == set()


def test_our_own_files_are_shown_and_nobody_elses(pages):
    sources = [name for name in pages if name.startswith("source/")]
    assert "source/packages/schedulers/src/diffx_schedulers/ve.py.html" in sources
    assert not any(".venv" in name or "pycache" in name for name in sources)


def test_links_out_of_the_docs_are_those_of_the_site():
    moved = relinked(
        "[a](../../README.md#write-a-plugin) `[b](../x.md)` [c](../matrix.md#top)"
        " [d](../../packages/samplers) [e](https://example.org/x.md) [f](../../LICENSE)",
        "docs/plugins/hooks.md",
        "plugins/hooks.md",
    )
    assert moved == (
        "[a](first.md) `[b](../x.md)` [c](../matrix.md#top)"
        " [d](../components/sampler/index.md) [e](https://example.org/x.md)"
        " [f](../source/LICENSE.md)"
    )


def test_a_docstring_becomes_markdown():
    doc = """What it is: ``x`` of <name> and a*b.

        y = a x,    z = b

    Args:
        a: of x,
            twice.
        b: of z.

    References:
        Song et al., 2021, arXiv:2011.13456, eq. 9.
    """
    assert prose(doc) == (
        "What it is: `x` of &lt;name> and a\\*b.\n\n````text\ny = a x,\nz = b\n````\n"
    )
    assert entries(doc, "Args") == [("a", "of x, twice."), ("b", "of z.")]
    link = "[arXiv:2011.13456](https://arxiv.org/abs/2011.13456)"
    assert references(doc) == f"* Song et al., 2021, {link}, eq. 9.\n"


def test_a_signature_is_what_one_types():
    def short(self, x: Path, *, n: int = 3) -> str | None:
        raise NotImplementedError

    def long(*first: Path, second_of_many_names: "Path" = Path(), third_of_many_names: int) -> Path:
        raise NotImplementedError

    assert signature("short", short) == "def short(x: Path, *, n: int = 3) -> str | None"
    assert signature("ConfigError", diffx_core.ConfigError) == "class ConfigError"
    assert signature("long", long).splitlines() == [
        "def long(",
        "    *first: Path,",
        "    second_of_many_names: Path = PosixPath(.),",
        "    third_of_many_names: int,",
        ") -> Path",
    ]
