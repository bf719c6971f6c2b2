"""What mkdocs calls while it builds the site: pages made from the code, and links made right."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from diffx_cli.commands import COMMANDS
from diffx_docs import api, commands, components
from diffx_docs.links import ROOT, linked_files, relinked
from diffx_docs.source import source_pages

PARTS = {
    "plugins/first.md": ("README.md", "Write a plugin"),
    "project/contributing.md": ("CONTRIBUTING.md", None),
    "project/changelog.md": ("CHANGELOG.md", None),
}
"""Pages that are other files of the repository, or a part of one under its heading."""
STYLE = Path(__file__).with_name("site.css")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that are made into the navigation, at their headings."""
    registry = components.ours()
    made: dict[str, Any] = {
        "Components": [{title: pages} for title, pages in components.kinds(registry)],
        "Commands": [f"{commands.FOLDER}/index.md", *map(commands.page_of, COMMANDS.values())],
        "Python API": [
            f"{api.FOLDER}/index.md",
            *({title: page} for title, page in api.titles()),
        ],
    }
    assert config.nav is not None
    config.nav = [_filled(one, made) for one in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    registry = components.ours()
    pages = {
        **{page: _part(page, *origin) for page, origin in PARTS.items()},
        **components.component_pages(registry),
        **commands.command_pages(COMMANDS),
        **api.api_pages(),
    }
    shown = components.sources(registry) | commands.sources(COMMANDS) | api.sources()
    for file in files.documentation_pages():
        shown |= set(linked_files(file.content_string, f"docs/{file.src_uri}"))
    for path, _ in PARTS.values():
        shown |= set(linked_files((ROOT / path).read_text(encoding="utf-8"), path))
    for page, text in {**pages, **source_pages(shown)}.items():
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "site.css", abs_src_path=str(STYLE)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Lead links out of docs/ to the pages of what they mean."""
    if page.file.generated_by:
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def _filled(entry: Any, made: dict[str, Any]) -> Any:  # noqa: ANN401  # as YAML has it
    if isinstance(entry, dict):
        return {key: made.get(key, value) for key, value in entry.items()}
    return entry


def _part(page: str, path: str, heading: str | None) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    if heading is not None:
        (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        text = f"# {heading}\n{found}"
    return relinked(text, path, page)
