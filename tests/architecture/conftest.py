"""The source of all packages, as syntax trees: read once, never imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import field, frozen

ROOT = Path(__file__).parents[2]
SOURCES = (*ROOT.glob("packages/*/src"), *ROOT.glob("apps/*/src"), *ROOT.glob("examples/*/*/src"))


@frozen
class Import:
    """One imported name; `name` is None for `import module`."""

    module: str
    name: str | None = None


@frozen
class Module:
    """A module of ours: its dotted name, its file, and what it imports at run time."""

    name: str
    file: Path = field(repr=False)
    tree: ast.Module = field(repr=False, eq=False)
    imports: tuple[Import, ...] = field(repr=False)

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def unit(self) -> str:
        """What stands below the package: `engine` for diffx_core.engine.trainer."""
        return self.name.split(".")[1] if "." in self.name else ""

    def sees(self, package: str) -> list[Import]:
        """What it imports of a package."""
        return [one for one in self.imports if one.module.partition(".")[0] == package]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imports(node: ast.AST) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative import"
            yield from (Import(child.module or "", alias.name) for alias in child.names)
        elif not _is_type_checking(child):
            yield from _imports(child)


def _module(file: Path, source: Path) -> Module:
    parts = file.relative_to(source).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return Module(name, file, tree, tuple(_imports(tree)))


@pytest.fixture(scope="session")
def modules() -> tuple[Module, ...]:
    """Every module of the six packages and of the example plugins."""
    return tuple(
        _module(file, source) for source in SOURCES for file in sorted(source.rglob("*.py"))
    )
