"""Links between pages as they are on the site, from links between files of the repository."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = re.compile(r"(^(?P<fence>`{3,}).*?^(?P=fence)`*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^()\s#]+)((?:#[^()\s]*)?\))")
ELSEWHERE = ("https://", "http://", "mailto:")
PAGES = {
    "README.md": "index.md",
    "README.md#write-a-plugin": "plugins/first.md",
    "apps/cli": "commands/index.md",
    "packages/core": "api/index.md",
    "packages/schedulers": "components/scheduler/index.md",
    "packages/backbones": "components/backbone/index.md",
    "packages/samplers": "components/sampler/index.md",
    "packages/datasets": "components/dataset/index.md",
    "packages/loggers": "components/logger/index.md",
    "packages/metrics": "components/metric/index.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
}
"""Files and folders outside of docs/ that have a page of their own; pages link to them as files."""


def page_of(path: str) -> str:
    """The page of the site on which a file of the repository is."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/") and not path.endswith(".py"):
        return path.removeprefix("docs/")
    return source_page(path)


def source_page(path: str) -> str:
    """The page that shows a file, or what is in a folder."""
    return f"source/{path}.md" if (ROOT / path).is_file() else f"source/{path}/index.md"


def relinked(text: str, origin: str, page: str) -> str:
    """Text of a file as it has to be on a page.

    Args:
        text: Markdown.
        origin: the file, from the root of the repository.
        page: the page, from the root of the site.
    """

    def moved(match: re.Match[str]) -> str:
        if match[2].startswith(ELSEWHERE):
            return match[0]
        path, end = _target(origin, match[2]), match[3]
        if whole := PAGES.get(path + end.removesuffix(")")):
            return f"{match[1]}{relative(whole, page)})"
        return f"{match[1]}{relative(page_of(path), page)}{end}"

    pieces = CODE.split(text)
    # of each piece of code, the text itself and its fence
    for at in range(0, len(pieces), 3):
        pieces[at] = LINK.sub(moved, pieces[at])
    for at in range(2, len(pieces), 3):
        pieces[at] = ""
    return "".join(one or "" for one in pieces)


def linked_files(text: str, origin: str) -> Iterator[str]:
    """The files and folders that are shown as they are because a text links to them."""
    for _, link, _ in LINK.findall(CODE.sub("", text)):
        if not link.startswith(ELSEWHERE):
            path = _target(origin, link)
            if page_of(path).startswith("source/"):
                yield path


def relative(target: str, page: str) -> str:
    """The way from one page to another."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def _target(origin: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
