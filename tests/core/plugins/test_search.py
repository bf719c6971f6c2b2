"""One name may stand for a component, or for everything that a plugin offers."""

import pytest

from diffx_core.errors import ConfigError, PluginError
from diffx_core.plugins import Component, Plugin, Registry


def plugin(distribution, *offers, entry=None, error=None):
    components = tuple((kind, Component(name, "no.where:It")) for kind, name in offers)
    entry = entry or distribution.removeprefix("diffx-")
    return Plugin(entry, distribution, "1.0", components, error)


FIRST = plugin("diffx-first", ("scheduler", "vpsde"), ("scheduler", "ddpm"), ("sampler", "ddpm"))
EXTRA = plugin("diffx-first", ("dataset", "digits"), entry="extra")
SECOND = plugin("diffx-second", ("scheduler", "vpsde"))
BROKEN = plugin("diffx-cosh", error="import: ImportError: no module named 'x'")
ALL = Registry([FIRST, EXTRA, SECOND, BROKEN], left_out=["diffx-silent"])


def found(name, kind=None):
    return [(one.kind, one.qualified) for one in ALL.search(name, kind)]


def refusal(name, kind, error):
    with pytest.raises(error) as caught:
        ALL.search(name, kind)
    assert type(caught.value) is error
    return str(caught.value)


def test_a_name_stands_for_the_components_of_every_kind_that_have_it():
    assert found("ddpm") == [("scheduler", "diffx-first:ddpm"), ("sampler", "diffx-first:ddpm")]
    assert found("ddpm", "sampler") == [("sampler", "diffx-first:ddpm")]


def test_a_qualified_name_stands_for_one():
    assert found("diffx-second:vpsde") == [("scheduler", "diffx-second:vpsde")]


@pytest.mark.parametrize("name", ["diffx-first", "Diffx_First"])
def test_a_distribution_stands_for_all_that_its_plugins_offer(name):
    assert found(name) == [
        ("scheduler", "diffx-first:ddpm"),
        ("scheduler", "diffx-first:vpsde"),
        ("sampler", "diffx-first:ddpm"),
        ("dataset", "diffx-first:digits"),
    ]


def test_an_entry_point_stands_for_what_it_offers():
    assert found("extra") == [("dataset", "diffx-first:digits")]
    assert found("first", "sampler") == [("sampler", "diffx-first:ddpm")]


def test_an_ambiguous_name_is_refused():
    assert "say 'diffx-first:vpsde'" in refusal("vpsde", None, ConfigError)


@pytest.mark.parametrize("name", ["cosh", "diffx-cosh", "diffx-cosh:anything"])
def test_a_broken_plugin_is_blamed(name):
    assert "no module named 'x'" in refusal(name, None, PluginError)


@pytest.mark.parametrize("name", ["diffx-silent", "diffx-silent:x"])
def test_a_plugin_that_is_switched_off_says_so(name):
    assert "switched off" in refusal(name, None, PluginError)


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("ddpmm", None, "did you mean 'ddpm'?"),
        ("diffx-frist", None, "did you mean 'diffx-first'?"),
        ("xyz", None, "`diffx list-plugins`"),
        ("ddpmm", "scheduler", "unknown scheduler 'ddpmm': did you mean 'ddpm'?"),
        ("extra", "sampler", "'extra' offers no sampler"),
        ("digits", "sampler", "'digits' is a dataset"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name, kind, reason):
    assert reason in refusal(name, kind, ConfigError)
