import sys

import pytest

from diffx_core.errors import ConfigError, PluginError
from diffx_core.plugins import Component, Plugin, Registered, Registry


def plugin(distribution, *offers, version="1.0", entry=None, error=None):
    components = tuple((kind, Component(name, "no.where:It")) for kind, name in offers)
    entry = entry or distribution.removeprefix("diffx-")
    return Plugin(entry, distribution, version, components, error)


FIRST = plugin(
    "diffx-first",
    ("scheduler", "vpsde"),
    ("scheduler", "cosine"),
    ("sampler", "ddim"),
    ("dataset", "cosine"),
)
SECOND = plugin("diffx-second", ("scheduler", "vpsde"), ("sampler", "pc"), version="2.0")
BROKEN = plugin("diffx-cosh", version="0.3", error="import: ImportError: no module named 'x'")
DIAGNOSIS = (
    "plugin 'cosh' (diffx-cosh 0.3) is disabled: import: ImportError: no module named 'x'; "
    "`pip install --upgrade diffx-cosh` or `pip uninstall diffx-cosh`"
)


def refusal(registry, kind, name, error):
    with pytest.raises(error) as caught:
        registry.find(kind, name)
    assert type(caught.value) is error
    return caught.value.problems


def test_components_are_listed_by_kind_and_name():
    found = Registry([SECOND, FIRST]).all()
    assert [r.qualified for r in found] == [
        "diffx-first:cosine",
        "diffx-first:vpsde",
        "diffx-second:vpsde",
        "diffx-first:ddim",
        "diffx-second:pc",
        "diffx-first:cosine",
    ]


def test_one_kind_can_be_listed():
    assert [r.name for r in Registry([FIRST, SECOND]).all("sampler")] == ["ddim", "pc"]


@pytest.mark.parametrize("name", ["cosine", "diffx-first:cosine", "Diffx_First:cosine"])
def test_a_component_is_found_by_its_short_and_qualified_name(name):
    found = Registry([FIRST, SECOND]).find("scheduler", name)
    assert (found.kind, found.qualified) == ("scheduler", "diffx-first:cosine")


def test_a_short_name_of_two_distributions_is_refused_with_both():
    assert refusal(Registry([FIRST, SECOND]), "scheduler", "vpsde", ConfigError) == (
        (
            "scheduler 'vpsde' is ambiguous: say 'diffx-first:vpsde' (version 1.0) "
            "or 'diffx-second:vpsde' (version 2.0)"
        ),
    )


def test_a_qualified_name_is_never_ambiguous():
    assert Registry([FIRST, SECOND]).find("scheduler", "diffx-second:vpsde").version == "2.0"


def test_only_names_of_one_kind_collide():
    registry = Registry([FIRST, SECOND])
    ambiguous = {r.qualified for r in registry.all() if registry.is_ambiguous(r)}
    assert ambiguous == {"diffx-first:vpsde", "diffx-second:vpsde"}


def test_an_unknown_name_gets_the_nearest_and_the_list():
    assert refusal(Registry([FIRST]), "scheduler", "vpsdee", ConfigError) == (
        "unknown scheduler 'vpsdee': did you mean 'vpsde'? installed: cosine, vpsde",
    )


def test_an_unknown_name_like_no_other_gets_the_list():
    assert refusal(Registry([FIRST]), "sampler", "xyz", ConfigError) == (
        "unknown sampler 'xyz'; installed: ddim",
    )


def test_with_nothing_installed_the_list_says_so():
    assert refusal(Registry([]), "sampler", "xyz", ConfigError) == (
        "unknown sampler 'xyz'; installed: none",
    )


def test_a_name_of_another_kind_is_recognised():
    assert refusal(Registry([FIRST, BROKEN]), "scheduler", "ddim", ConfigError) == (
        "unknown scheduler 'ddim': 'ddim' is a sampler",
    )


@pytest.mark.parametrize("name", ["cosh", "diffx-cosh", "diffx-cosh:anything", "Diffx.Cosh:x"])
def test_a_broken_plugin_of_that_name_is_blamed(name):
    problems = refusal(Registry([FIRST, BROKEN]), "scheduler", name, PluginError)
    assert problems == (f"unknown scheduler {name!r}", DIAGNOSIS)


def test_a_broken_distribution_of_that_name_is_blamed_even_if_a_name_is_near():
    broken = plugin("diffx-cosin", entry="main", error="import: no")
    problems = refusal(Registry([FIRST, broken]), "scheduler", "cosin", PluginError)
    assert "plugin 'main' (diffx-cosin 1.0) is disabled: import: no" in problems[1]


def test_any_broken_plugin_is_suspected_when_no_name_is_near():
    problems = refusal(Registry([FIRST, BROKEN]), "scheduler", "xyz", PluginError)
    assert problems == ("unknown scheduler 'xyz'; installed: cosine, vpsde", DIAGNOSIS)


def test_a_broken_plugin_is_mentioned_when_a_name_is_near():
    problems = refusal(Registry([FIRST, BROKEN]), "scheduler", "vpsdee", ConfigError)
    assert problems[1] == DIAGNOSIS


def test_a_broken_plugin_does_not_matter_to_a_name_that_is_known():
    assert Registry([FIRST, BROKEN]).find("sampler", "ddim").name == "ddim"


def test_a_missing_distribution_is_named_with_the_command_that_installs_it():
    assert refusal(Registry([FIRST]), "scheduler", "other-place:wobble", PluginError) == (
        (
            "unknown scheduler 'other-place:wobble': no plugin of the distribution 'other-place' "
            "is installed; `pip install other-place` if that is where it comes from"
        ),
    )


def test_a_mistyped_distribution_gets_the_nearest_name():
    (problem,) = refusal(Registry([FIRST]), "scheduler", "difx-first:vpsde", PluginError)
    assert "did you mean 'diffx-first:vpsde'?" in problem


def test_a_mistyped_name_of_a_known_distribution_is_the_users_mistake():
    (problem,) = refusal(Registry([FIRST]), "scheduler", "diffx-first:vpsd", ConfigError)
    assert "did you mean 'diffx-first:vpsde'?" in problem


def test_a_distribution_that_is_switched_off_need_not_be_installed():
    registry = Registry([FIRST], left_out=["diffx-second"])
    (problem,) = refusal(registry, "sampler", "diffx-second:pc", PluginError)
    assert "diffx-second is switched off by DIFFX_PLUGINS or DIFFX_DISABLE_PLUGINS" in problem


def test_an_unknown_name_may_be_switched_off():
    registry = Registry([FIRST], left_out=["diffx-second", "diffx-second"])
    _, note = refusal(registry, "sampler", "pc", ConfigError)
    assert note == "switched off by DIFFX_PLUGINS or DIFFX_DISABLE_PLUGINS: diffx-second"


IT = "from diffx_core import Scheduler\nclass It(Scheduler): ..."


@pytest.fixture
def at(fake_distribution):
    """Something registered whose target is in the module `diffx_it.sde` with the given source."""

    def registered(source, name="It"):
        fake_distribution("diffx-it", {"sde": source})
        return Registered("scheduler", "it", "diffx-it", "1.0", "", f"diffx_it.sde:{name}")

    return registered


def test_a_target_is_imported_when_it_is_loaded(at):
    registered = at(IT)
    assert "diffx_it.sde" not in sys.modules
    assert registered.load() is sys.modules["diffx_it.sde"].It


def test_a_target_may_be_inside_a_class(at):
    assert at(f"{IT}\nclass Outer:\n    Inner = It", "Outer.Inner").load().__name__ == "It"


FAULTS = {
    "removed": ("class Other: ...", "AttributeError: module 'diffx_it.sde' has no attribute 'It'"),
    "broken-import": ("import no_such_module", "ModuleNotFoundError: No module named"),
    "exit": ("raise SystemExit(0)", "it called sys.exit(0)"),
    "base-exception": ("raise GeneratorExit", "GeneratorExit;"),
    "function": ("def It(): ...", "it is a function, not a class"),
    "stranger": (
        "class It: ...",
        "the class of a scheduler extends diffx_core.Scheduler, and It does not",
    ),
    "other kind": (
        "from diffx_core import Logger\nclass It(Logger): ...",
        "the class of a scheduler extends diffx_core.Scheduler, and It does not",
    ),
    "undecorated": (
        IT.replace("...", "rate: float = 1.0"),
        "It has the fields rate and is no attrs class, so that they are no options: write",
    ),
    "by place": (
        f"import attrs\n{IT}".replace("class", "@attrs.frozen\nclass").replace(
            "...", "rate: int = 1"
        ),
        "the fields rate of It are not keyword-only, so that they are no options: write",
    ),
}


@pytest.mark.parametrize(("source", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_target_that_cannot_be_loaded_names_who_is_to_blame(at, source, reason):
    with pytest.raises(PluginError) as caught:
        at(source).load()
    (problem,) = caught.value.problems
    start = "scheduler it (diffx-it 1.0) cannot be loaded: import of diffx_it.sde:It: "
    assert problem.startswith(start + reason)
    assert "pip install --upgrade diffx-it" in problem


def test_a_target_that_prints_leaves_stdout_alone(at, capsys):
    at(f"print('hello')\n{IT}").load()
    assert capsys.readouterr() == ("", "hello\n")


def test_ctrl_c_while_a_target_is_imported_is_not_contained(at):
    registered = at("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        registered.load()


def test_a_field_by_place_may_stand_beside_options(at):
    source = (
        "from attrs import field, frozen\nfrom diffx_core import Scheduler\n"
        "@frozen(kw_only=True)\nclass It(Scheduler):\n"
        "    rate: float = 1.0\n    cache: int = field(default=1, kw_only=False)"
    )
    assert at(source).load().__name__ == "It"
