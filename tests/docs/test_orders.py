"""The page of measured orders says what its script measures, and that is what is declared."""

import importlib.util
from pathlib import Path

import pytest

from diffx_core.plugins import Registry

FOLDER = Path(__file__).parents[2] / "docs" / "sampling"
PAGE = (FOLDER / "orders.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.splitlines()
    if line.startswith("|")
]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("orders", FOLDER / "orders.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_script_but_for_its_figures(script):
    listed = script.methods(Registry.load({}))
    assert ROWS[0] == script.COLUMNS
    expected = [(name, options, str(sampler.rate)) for name, options, sampler in listed]
    assert [(row[0], row[1], row[4]) for row in ROWS[2:]] == expected
    assert PAGE.startswith(script.HEAD)
    assert PAGE.endswith(script.TAIL)


@pytest.mark.parametrize("row", ROWS[2:], ids=lambda row: f"{row[0]} {row[1]}")
def test_a_measured_order_is_the_declared_one(row):
    assert float(row[5]) == pytest.approx(int(row[4]), abs=0.15)


def test_every_sampler_that_has_an_order_is_there(script):
    registry = Registry.load({})
    ours = [one for one in registry.all("sampler") if one.distribution == "diffx-samplers"]
    assert {row[0] for row in ROWS[2:]} == {one.name for one in ours} - {"rk45"}


@pytest.mark.slow
def test_the_figures_are_those_that_are_measured(script):
    for shown, found in zip(ROWS[2:], script.rows(Registry.load({})), strict=True):
        assert shown[:5] == found[:5]
        assert float(shown[5]) == pytest.approx(float(found[5]), abs=0.02)
