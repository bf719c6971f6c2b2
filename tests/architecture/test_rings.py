"""Imports point inward (DESIGN 1): the rings, read from the source of every package."""

from graphlib import TopologicalSorter

import pytest

import diffx_core
import diffx_core.testing

FIRST = {
    "errors",
    "cache",
    "options",
    "noise",
    "brownian",
    "scheduler",
    "known",
    "estimate",
    "dataset",
    "foreign",
    "moments",
    "text",
    "from_sde",
    "logger",
}
SECOND = {
    "prediction",
    "denoiser",
    "guidance",
    "grids",
    "sampler",
    "reached",
    "sampling",
    "contract",
    "swap",
    "likelihood",
    "objective",
}
RINGS = {
    **dict.fromkeys(FIRST, FIRST),
    **dict.fromkeys(SECOND, FIRST | SECOND),
    "plugins": {"errors"},
    "config": {"errors"},
    "engine": FIRST | SECOND,
    "testing": FIRST | SECOND,
    "pipeline": FIRST | SECOND | {"engine", "plugins", "config"},
}
"""Which parts of diffx_core a part may import, besides itself."""
EXCEPTIONS = {"diffx_core.config.run": {"plugins"}}
"""A saved run names components, so only this module of `config` knows the registry."""

PLUGINS = (
    "diffx_schedulers",
    "diffx_backbones",
    "diffx_samplers",
    "diffx_datasets",
    "diffx_loggers",
    "diffx_bridge",
    "diffx_cosh",
    "diffx_ouve",
    "diffx_pfgmpp",
)
OURS = {"diffx_core", "diffx_cli", *PLUGINS}


@pytest.fixture
def core(modules):
    return [module for module in modules if module.package == "diffx_core" and module.unit]


def test_all_packages_are_read(modules):
    assert {module.package for module in modules} == OURS


def test_every_part_of_the_core_has_a_ring(core):
    assert {module.unit for module in core} == set(RINGS)


def test_the_core_imports_inward(core):
    wrong = [
        f"{module.name} imports {one.module}"
        for module in core
        for one in module.sees("diffx_core")
        if one.module.partition(".")[2].partition(".")[0]
        not in {module.unit} | RINGS[module.unit] | EXCEPTIONS.get(module.name, set())
    ]
    assert wrong == []


def test_no_module_imports_itself_by_a_detour(modules):
    names = {module.name for module in modules}
    graph = {module.name: set() for module in modules}
    for module in modules:
        for one in module.imports:
            target = f"{one.module}.{one.name}"
            graph[module.name] |= {target if target in names else one.module} & names
    TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


@pytest.mark.parametrize("package", ["diffx_core", *PLUGINS])
def test_a_package_sees_the_core_and_itself_only(modules, package):
    seen = {
        one.module.partition(".")[0]
        for module in modules
        if module.package == package
        for one in module.imports
    }
    assert seen & OURS <= {package, "diffx_core"}


@pytest.mark.parametrize("package", PLUGINS)
def test_a_plugin_package_uses_public_names_only(modules, package):
    wrong = [
        f"{module.name} imports {one.name or ''} from {one.module}"
        for module in modules
        if module.package == package
        for one in module.sees("diffx_core")
        if one.module != "diffx_core" or one.name not in diffx_core.__all__
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("library", "owner"), [("pluggy", "diffx_core.plugins"), ("fire", "diffx_cli")]
)
def test_a_library_of_the_edge_has_one_owner(modules, library, owner):
    users = [module.name for module in modules if module.sees(library)]
    assert users
    assert [name for name in users if not f"{name}.".startswith(f"{owner}.")] == []


def test_nobody_imports_a_private_name(modules):
    wrong = [
        f"{module.name} imports {one.name or ''} from {one.module}"
        for module in modules
        for one in module.imports
        for part in (*one.module.split("."), one.name or "")
        if part.startswith("_") and not part.endswith("__")
    ]
    assert wrong == []
