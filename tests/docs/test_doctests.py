"""The examples in docstrings say what comes out."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (*ROOT.glob("packages/*/src"), ROOT / "apps" / "cli" / "src")
WITH_EXAMPLES = sorted(
    ".".join(file.relative_to(source).with_suffix("").parts)
    for source in SOURCES
    for file in source.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_come_out(name):
    found = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted
    assert not found.failed


def test_the_names_that_one_meets_first_have_examples():
    assert {
        f"diffx_core.{name}"
        for name in ("dataset", "estimate", "noise", "sampler", "sampling", "scheduler")
    } <= set(WITH_EXAMPLES)
