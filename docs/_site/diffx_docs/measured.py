"""The rows of the measured tables that are about one component."""

import re

from diffx_core.plugins.registered import Registered
from diffx_docs.links import ROOT, relative
from diffx_docs.markdown import table


def orders(one: Registered, here: str) -> str:
    """The rows of the page of measured orders."""
    if one.kind != "sampler":
        return ""
    head, *rows = _rows("docs/sampling/orders.md")
    found = [row[1:] for row in rows if row[0] == one.name]
    if not found:
        return ""
    page = relative("sampling/orders.md", here)
    said = "How fast the error falls as steps become smaller"
    return f"{said}, [measured]({page}).\n\n{table(head[1:], found)}"


def partners(one: Registered, here: str) -> str:
    """The row of the matrix for a sampler, its column for a process."""
    if one.kind not in {"sampler", "scheduler"}:
        return ""
    head, *rows = _rows("docs/matrix.md")
    if one.kind == "sampler":
        (row,) = (each for each in rows if each[0] == one.name)
        found, kind = list(zip(head[2:], row[2:], strict=True)), "scheduler"
    else:
        at = head.index(one.name)
        found, kind = [(row[0], row[at]) for row in rows], "sampler"
    linked = [(f"[{name}](../{kind}/{name}.md)", figure) for name, figure in found]
    page = relative("matrix.md", here)
    said = "A number is the measured order, `ok` a pair that works and has none"
    return f"{said} ([the matrix]({page})).\n\n{table((kind, 'order'), linked)}"


def _rows(path: str) -> list[list[str]]:
    lines = re.findall(r"^\|(.+)\|$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in rows if set(row) != {"---"}]
