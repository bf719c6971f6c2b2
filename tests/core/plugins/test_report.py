import json

import pytest

from diffx_core.plugins import Component, Plugin, Registry, rows, table

SUMMARY = "A process whose mean decays as one over a hyperbolic cosine, with a variance to match"


def plugin(distribution, *names, **given):
    components = tuple(("scheduler", Component(name, "no.where:It", SUMMARY)) for name in names)
    return Plugin("main", distribution, "1.0", components, **given)


@pytest.fixture
def registry():
    return Registry(
        [
            plugin("diffx-first", "cosh", "sinh"),
            plugin("diffx-second", "cosh"),
            plugin("diffx-third", error=f"import: ImportError: {SUMMARY}"),
        ]
    )


def test_a_row_tells_all_about_a_component(registry):
    assert rows(registry)[2] == {
        "kind": "scheduler",
        "name": "sinh",
        "qualified": "diffx-first:sinh",
        "distribution": "diffx-first",
        "version": "1.0",
        "status": "ok",
        "summary": SUMMARY,
        "error": None,
    }


def test_a_row_tells_why_a_plugin_failed(registry):
    assert rows(registry)[-1] == {
        "kind": None,
        "name": "main",
        "qualified": "diffx-third:main",
        "distribution": "diffx-third",
        "version": "1.0",
        "status": "failed",
        "summary": "",
        "error": f"import: ImportError: {SUMMARY}",
    }


def test_a_shared_name_is_reported_in_every_row(registry):
    assert [row["status"] for row in rows(registry)] == ["ambiguous", "ambiguous", "ok", "failed"]


def test_rows_of_one_kind_include_the_failures(registry):
    assert [row["status"] for row in rows(registry, "sampler")] == ["failed"]


def test_rows_are_json(registry):
    assert json.loads(json.dumps(rows(registry))) == rows(registry)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_table_fits_its_width(registry, width):
    lines = table(rows(registry), width=width).splitlines()
    assert max(map(len, lines)) <= width


def test_a_table_loses_no_word(registry):
    words = " ".join(table(rows(registry), width=80).split())
    for text in (SUMMARY, "failed main diffx-third 1.0 import: ImportError:", "diffx-second:cosh"):
        assert all(word in words for word in text.split())


def test_the_columns_of_a_table_stand_below_each_other(registry):
    lines = table(rows(registry), width=100).splitlines()
    column = lines[0].index("FROM")
    origins = [line[column:].split()[0] for line in lines[1:] if line[0] != " "]
    assert origins == ["diffx-first", "diffx-second", "diffx-first", "diffx-third"]


def test_an_empty_table_says_so():
    assert table(rows(Registry([]))) == "no plugins are installed"


def test_no_line_ends_in_a_space(registry):
    assert all(line == line.rstrip() for line in table(rows(registry)).splitlines())
