"""The public names of the core: those that type checkers see are those that programs get."""

import ast
from importlib import import_module

import pytest

import diffx_core
import diffx_core.testing


def declared(modules, name):
    """What a package imports for type checkers, as name to module."""
    (module,) = [module for module in modules if module.name == name]
    (block,) = [
        node
        for node in module.tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        alias.asname or alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_core_exports_what_it_declares(modules):
    assert sorted(declared(modules, "diffx_core")) == list(diffx_core.__all__)


@pytest.mark.parametrize("name", diffx_core.__all__)
def test_a_public_name_is_the_object_that_was_declared(modules, name):
    home = import_module(declared(modules, "diffx_core")[name])
    assert getattr(diffx_core, name) is getattr(home, name)


@pytest.mark.parametrize("name", diffx_core.testing.__all__)
def test_the_kit_has_every_name_that_it_promises(name):
    assert getattr(diffx_core.testing, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        diffx_core.Nonsense  # noqa: B018  # the access is what is tested
