"""Files of the repository as pages, so that what a page is made from is a click away."""

import inspect
from collections.abc import Iterable
from pathlib import Path

from diffx_docs.links import ROOT, relative, source_page
from diffx_docs.markdown import fenced

HIDDEN = "---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n\n"
"""Found by links alone; the search is for words about the code."""
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".md": "markdown"}
LEFT_OUT = ("__pycache__", ".pytest_cache", "dist")


def file_of(target: object) -> str:
    """The file in which a class or a function is, from the root of the repository."""
    inner = inspect.unwrap(target) if callable(target) else target
    return Path(inspect.getfile(inner)).resolve().relative_to(ROOT).as_posix()  # type: ignore[arg-type]


def source_pages(paths: Iterable[str]) -> dict[str, str]:
    """The pages of files and of folders, with everything that is in these."""
    pages: dict[str, str] = {}
    for path in sorted(set(paths)):
        if (ROOT / path).is_dir():
            inside = _inside(ROOT / path)
            pages[source_page(path)] = _folder(path, inside)
            pages |= {source_page(one): _file(one) for one in inside}
        else:
            pages[source_page(path)] = _file(path)
    return pages


def _inside(folder: Path) -> list[str]:
    found = [one for one in sorted(folder.rglob("*")) if one.is_file()]
    kept = [one for one in found if not any(part in LEFT_OUT for part in one.parts)]
    return [one.relative_to(ROOT).as_posix() for one in kept if not one.name.endswith(".pyc")]


def _folder(path: str, inside: Iterable[str]) -> str:
    lines = (
        f"* [{one.removeprefix(path + '/')}]({relative(source_page(one), source_page(path))})\n"
        for one in inside
    )
    return f"{HIDDEN}# {path}\n\n{''.join(lines)}"


def _file(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    shown = fenced(text, LANGUAGES.get(Path(path).suffix, "text")) if text.strip() else "Empty.\n"
    return f"{HIDDEN}# {path}\n\n{shown}"
