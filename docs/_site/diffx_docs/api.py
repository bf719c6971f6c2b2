"""Pages of the public names of `diffx_core`, from their docstrings."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import attrs

import diffx_core
from diffx_docs.links import relative, source_page
from diffx_docs.markdown import (
    entries,
    examples,
    fenced,
    prose,
    references,
    returned,
    summary,
    table,
)
from diffx_docs.signatures import cleaned, signature
from diffx_docs.source import file_of

FOLDER = "api"
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "processes": ("Noise and processes", ("scheduler", "from_sde", "swap", "noise", "brownian")),
    "networks": ("Networks and predictions", ("denoiser", "estimate", "prediction")),
    "samplers": ("Samplers and grids", ("sampler", "sampling", "grids", "reached")),
    "guidance": ("Guidance", ("guidance",)),
    "data": ("Data and texts", ("dataset", "text")),
    "training": ("Training", ("objective", "engine", "options")),
    "runs": ("Trained runs", ("pipeline", "likelihood", "foreign")),
    "plugins": (
        "Plugins and errors",
        ("plugins", "logger", "metric", "errors", "contract", "cache"),
    ),
}
"""Page, title, and the modules whose public names are on it."""


def api_pages() -> dict[str, str]:
    """Every page, by its place on the site."""
    homes = _homes()
    known = {module for _, modules in GROUPS.values() for module in modules}
    assert set(homes.values()) <= known, set(homes.values()) - known
    pages = {f"{FOLDER}/index.md": _index(homes)}
    for name, (title, modules) in GROUPS.items():
        names = [one for one in sorted(homes, key=str.lower) if homes[one] in modules]
        here = f"{FOLDER}/{name}.md"
        body = "\n".join(_entry(one, here) for one in names)
        pages[here] = f"# {title}\n\nAll of these are imported from `diffx_core`.\n\n{body}"
    return pages


def titles() -> list[tuple[str, str]]:
    """The titles of the pages, for the navigation."""
    return [(title, f"{FOLDER}/{name}.md") for name, (title, _) in GROUPS.items()]


def sources() -> set[str]:
    """The files in which the names are."""
    return {file_of(one) for name in diffx_core.__all__ if (one := _defined(name)) is not None}


def _index(homes: dict[str, str]) -> str:
    rows = []
    for name in sorted(homes, key=str.lower):
        page = next(one for one, (_, modules) in GROUPS.items() if homes[name] in modules)
        rows.append((f"[`{name}`]({page}.md#{name.lower()})", summary(_doc(name))))
    return (
        "# Python API\n\nThe public names of `diffx_core`. Importing it does not import torch; a"
        " name is looked up when it is used first. Processes, samplers and networks are classes of"
        f" their own packages ([components](../components/scheduler/index.md)).\n\n"
        f"{table(('name', 'what it is'), rows)}"
    )


def _entry(name: str, here: str) -> str:
    value, doc = getattr(diffx_core, name), _doc(name)
    parts = [f"## {name} {{ #{name.lower()} }}\n"]
    defined = _defined(name)
    if defined is None:
        parts.append(fenced(f"{name} = {_shown(value)}", "python"))
    else:
        parts.append(fenced(signature(name, value), "python"))
    parts += [prose(doc) + "\n", *_details(doc)]
    if inspect.isclass(value):
        parts += _methods(value)
    if defined is not None:
        parts.append(f"[Source]({relative(source_page(file_of(defined)), here)})\n")
    return "\n".join(parts)


def _details(doc: str | None) -> Iterator[str]:
    """What it takes, gives back and refuses, and where it is from."""
    for section, head in (("Args", "argument"), ("Raises", "raises")):
        if found := entries(doc, section):
            yield table((head, ""), [(f"`{key}`", text) for key, text in found])
    if text := returned(doc):
        yield f"Returns: {text}\n"
    if text := examples(doc):
        yield text
    if text := references(doc):
        yield f"References:\n\n{text}"


def _methods(target: type) -> Iterator[str]:
    """What a class can do: its own public methods and properties that say so."""
    for name, one in vars(target).items():
        if name.startswith("_") and name != "__call__":
            continue
        inner = getattr(one, "__func__", getattr(one, "fget", one))
        if not inspect.isfunction(inner) or not inner.__doc__:
            continue
        shown = f"{name}" if isinstance(one, property) else signature(name, inner)
        yield f"{fenced(shown, 'python')}\n{prose(inner.__doc__)}\n"
        yield examples(inner.__doc__)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: ..." for key in value) + "}"
    return cleaned(str(value))


def _defined(name: str) -> object:
    """The class or function of a name; None if it is a value or another name of a type."""
    value = getattr(diffx_core, name)
    defined = inspect.isclass(value) or inspect.isfunction(value)
    return value if defined and value.__module__.startswith("diffx_core") else None


def _doc(name: str) -> str | None:
    """Its docstring; that of a value stands below its assignment."""
    value = getattr(diffx_core, name)
    if _defined(name) is not None:
        return None if attrs.has(value) and value.__doc__ is None else value.__doc__
    return _below(_modules()[name], name)


def _below(module: str, name: str) -> str | None:
    """The string below an assignment, in a module or in the one from which it has the name."""
    tree = ast.parse(Path(inspect.getfile(import_module(module))).read_text(encoding="utf-8"))
    for one, following in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        if isinstance(one, ast.ImportFrom) and any(each.name == name for each in one.names):
            return _below(str(one.module), name)
        targets = [one.target] if isinstance(one, ast.AnnAssign) else getattr(one, "targets", [])
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            return _string(following)
    return None


def _string(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return None


def _homes() -> dict[str, str]:
    """The module, or the folder of modules, of each public name."""
    return {name: path.split(".")[1] for name, path in _modules().items()}


@cache
def _modules() -> dict[str, str]:
    """The module of each public name, as the core's own list has it."""
    tree = ast.parse(Path(diffx_core.__file__).read_text(encoding="utf-8"))
    return {
        one.name: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("diffx_core")
        for one in node.names
    }
