"""Pieces of Markdown: tables, and docstrings in Google's style as text that Markdown reads."""

import inspect
import re
from collections.abc import Iterable, Sequence

SECTION = re.compile(
    r"^(Args|Returns|Yields|Raises|References|Examples):\n((?:[ \t]+.*(?:\n|\Z)|\n)*)", re.MULTILINE
)
ALIGNED = re.compile(r"\S {3,}\S")
"""Two formulas side by side: text that Markdown would push together."""
BESIDE = re.compile(r", {3,}\S")
MARKUP = re.compile(r"``(.+?)``")
TAG = re.compile(r"<(?=[A-Za-z/!])")
PAPER = re.compile(r"\b(arXiv|doi):([^\s,;)]+[^\s,;).])")
PLACES = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold any text but tags."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def code(text: object) -> str:
    """A short piece of code."""
    return f"`{text}`" if str(text) else ""


def fenced(text: str, language: str = "text") -> str:
    """A block of code, whatever fences are in it."""
    return f"````{language}\n{text.rstrip()}\n````\n"


def prose(doc: str | None) -> str:
    """The docstring without its sections."""
    text = SECTION.sub("", inspect.cleandoc(doc or "")).strip()
    return "\n\n".join(map(_paragraph, re.split(r"\n{2,}", text)))


def summary(doc: str | None) -> str:
    """Its first paragraph as one line."""
    return plain(" ".join(inspect.cleandoc(doc or "").split("\n\n", maxsplit=1)[0].split()))


def entries(doc: str | None, section: str) -> list[tuple[str, str]]:
    """What a section such as `Args` says, by name."""
    text = _section(doc, section)
    found = [re.split(r":\s+", one, maxsplit=1) for one in re.split(r"\n(?=\S)", text) if one]
    return [(one[0], plain(" ".join(one[-1].split()))) for one in found if len(one) == 2]


def returned(doc: str | None) -> str:
    """What the section `Returns` or `Yields` says."""
    text = _section(doc, "Returns") or _section(doc, "Yields")
    return plain(" ".join(text.split()))


def examples(doc: str | None) -> str:
    """The section `Examples` as a block of code."""
    text = _section(doc, "Examples")
    return fenced(text, "pycon") if text else ""


def references(doc: str | None) -> str:
    """The section `References` as a list with links."""
    found = re.split(r"\n(?=\S)", _section(doc, "References"))
    lines = [PAPER.sub(_link, plain(" ".join(one.split()))) for one in found if one]
    return "".join(f"* {one}\n" for one in lines)


def plain(text: str) -> str:
    """Text of a docstring outside of code: its own marks of code, and nothing that is a tag."""
    text = MARKUP.sub(r"`\1`", text)
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(one if one.startswith("`") else _escaped(one) for one in parts)


def _escaped(text: str) -> str:
    return TAG.sub("&lt;", re.sub(r"(?<!\s)\*|\*(?!\s)", r"\\*", text)).replace("[", "\\[")


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if all(one.startswith("    ") for one in lines) or any(map(ALIGNED.search, lines)):
        return fenced(_formulas(inspect.cleandoc("\n" + text)))
    return plain(text)


def _formulas(text: str) -> str:
    """Formulas that stand side by side, one below the other, so that they fit on a phone."""
    if not BESIDE.search(text):
        return text
    return ",\n".join(" ".join(one.split()) for one in re.split(r",(?: {3,}|\n\s*)", text))


def _section(doc: str | None, name: str) -> str:
    for match in SECTION.finditer(inspect.cleandoc(doc or "")):
        if match[1] == name:
            return inspect.cleandoc("\n" + match[2])
    return ""


def _link(match: re.Match[str]) -> str:
    return f"[{match[0]}]({PLACES[match[1]]}{match[2]})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
