"""A plugin that misbehaves disables itself and is listed with the reason; nothing else happens."""

import importlib.metadata
import sys

import pytest

from diffx_core.errors import ConfigError, PluginError
from diffx_core.plugins import Registry

GOOD = """
from diffx_core.plugins import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component("good", "diffx_good.sde:Good", "A good one")]
"""
HEAD = "from diffx_core.plugins import Component, hookimpl\n"
RECORD = 'Component("bad", "diffx_bad.sde:Bad")'


def hook(body, name="diffx_schedulers()", mark="@hookimpl"):
    return f"{HEAD}\n{mark}\ndef {name}:\n    {body}\n"


def load(*names, **environ):
    return Registry.load({"DIFFX_PLUGINS": ",".join(names), **environ})


def names(registry):
    return [registered.name for registered in registry.all()]


def test_a_plugin_offers_what_its_hooks_return(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD}, version="1.2")
    (registered,) = load("good").all()
    assert registered.label == "good (diffx-good 1.2)"
    assert registered.qualified == "diffx-good:good"
    assert registered.summary == "A good one"


def test_a_plugin_may_offer_several_kinds(fake_distribution):
    source = GOOD + '\n@hookimpl\ndef diffx_datasets():\n    return (Component("good", "a:B"),)\n'
    fake_distribution("diffx-good", {"plugin": source})
    assert [r.kind for r in load("good").all()] == ["scheduler", "dataset"]


def test_a_distribution_may_have_several_entry_points(fake_distribution):
    fake_distribution(
        "diffx-good",
        {"plugin": GOOD, "more": GOOD.replace('"good"', '"better"')},
        entry_points={"good": "diffx_good.plugin", "more": "diffx_good.more"},
    )
    assert names(load("diffx-good")) == ["better", "good"]


def test_a_hook_may_be_a_method_of_an_object(fake_distribution):
    source = f"""{HEAD}
class Offer:
    @hookimpl
    def diffx_samplers(self):
        return [Component("good", "a:B")]
offer = Offer()
"""
    fake_distribution(
        "diffx-good", {"plugin": source}, entry_points={"g": "diffx_good.plugin:offer"}
    )
    assert names(load("g")) == ["good"]


def test_a_hook_of_a_later_version_may_be_marked_optional(fake_distribution):
    later = hook("return []", "diffx_metrics()", "@hookimpl(optionalhook=True)")
    fake_distribution("diffx-good", {"plugin": GOOD + later})
    assert names(load("good")) == ["good"]


BAD = {
    "missing-module": ("import no_such_module_at_all", "import: ModuleNotFoundError"),
    "syntax-error": ("def", "import: SyntaxError"),
    "exit-on-import": ("import sys; sys.exit(3)", "import: it called sys.exit(3)"),
    "base-exception": ("class E(BaseException): ...\nraise E('odd')", "import: E: odd"),
    "mute-exception": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        "import: E",
    ),
    "many-lines": (
        "raise ImportError('one\\n\\ttwo\\x1b[31m')",
        "import: ImportError: one two [31m",
    ),
    "no-hook": ("x = 1", "hooks: it implements no hook; mark its functions with @hookimpl"),
    "not-marked": (
        hook(f"return [{RECORD}]", mark=""),
        "hooks: diffx_schedulers is not marked with @hookimpl",
    ),
    "mistyped-hook": (
        hook(f"return [{RECORD}]", "diffx_sheduler()"),
        "hooks: there is no hook 'diffx_sheduler': did you mean 'diffx_schedulers'",
    ),
    "wrong-signature": (
        hook(f"return [{RECORD}]", "diffx_schedulers(config)"),
        "register: PluginValidationError: ",
    ),
    "wrapper": (
        hook("yield", mark="@hookimpl(hookwrapper=True)"),
        "records of diffx_schedulers: expected a list of Component, got generator",
    ),
    "raising-hook": (hook("raise KeyError('k')"), "hook diffx_schedulers: KeyError: 'k'"),
    "exiting-hook": (hook("raise SystemExit"), "hook diffx_schedulers: it called sys.exit(None)"),
    "invalid-record": (
        hook("return [Component('Bad', 'a:B')]"),
        "hook diffx_schedulers: a component's name must be",
    ),
    "no-list": (
        hook(f"return {RECORD}"),
        "records of diffx_schedulers: expected a list of Component, got Component",
    ),
    "nothing": (
        hook("..."),
        "records of diffx_schedulers: expected a list of Component, got NoneType",
    ),
    "no-record": (
        hook("return [dict]"),
        "records of diffx_schedulers: expected Component, got type",
    ),
    "twice": (
        hook(f"return [{RECORD}, {RECORD}]"),
        "records of diffx_schedulers: the distribution offers scheduler 'bad' twice",
    ),
}


@pytest.mark.parametrize(("source", "error"), BAD.values(), ids=BAD)
def test_a_broken_plugin_disables_itself_alone(fake_distribution, source, error):
    fake_distribution("diffx-good", {"plugin": GOOD})
    fake_distribution("diffx-bad", {"plugin": source})
    registry = load("good", "bad")
    (failure,) = registry.failures
    assert names(registry) == ["good"]
    assert (failure.entry, failure.distribution, failure.version) == ("bad", "diffx-bad", "1.0")
    assert failure.error.startswith(error)
    assert failure.error.isprintable()


@pytest.mark.parametrize(
    "target", ["diffx_bad.absent", "diffx_bad.plugin:absent", "not a target"], ids=str
)
def test_an_entry_point_that_leads_nowhere_is_reported(fake_distribution, target):
    fake_distribution("diffx-bad", {"plugin": GOOD}, entry_points={"bad": target})
    assert load("bad").failures[0].error.startswith("import: ")


def test_one_bad_hook_disables_the_good_hooks_of_the_same_plugin(fake_distribution):
    source = GOOD + hook("raise ValueError", "diffx_samplers()")
    fake_distribution("diffx-good", {"plugin": source})
    assert names(load("good")) == []


def test_one_name_twice_in_a_distribution_disables_the_second_entry_point(fake_distribution):
    fake_distribution(
        "diffx-good",
        {"plugin": GOOD, "more": GOOD},
        entry_points={"a": "diffx_good.plugin", "b": "diffx_good.more"},
    )
    registry = load("diffx-good")
    assert names(registry) == ["good"]
    assert [failure.entry for failure in registry.failures] == ["b"]


def test_failures_are_listed_by_distribution_and_entry_point(fake_distribution):
    points = {"z": "absent", "a": "absent"}
    fake_distribution("diffx-one", {}, entry_points={"o": "absent"})
    fake_distribution("diffx-three", {}, entry_points=points)
    fake_distribution("diffx-four", {}, entry_points={"f": "absent"})
    failures = load("diffx-one", "diffx-three", "diffx-four").failures
    assert [failure.entry for failure in failures] == ["f", "o", "a", "z"]


def test_a_page_of_reasons_is_cut_to_what_one_reads(fake_distribution):
    fake_distribution("diffx-bad", {"plugin": "raise ImportError('no ' * 5000)"})
    assert len(load("bad").failures[0].error) < 400


def test_ctrl_c_is_not_contained(fake_distribution):
    fake_distribution("diffx-bad", {"plugin": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        load("bad")


def test_what_a_plugin_prints_leaves_stdout_alone(fake_distribution, capsys):
    source = "print('import')\n" + hook("print('hook'); return []")
    fake_distribution("diffx-loud", {"plugin": source})
    load("loud")
    assert capsys.readouterr() == ("", "import\nhook\n")


def test_nothing_is_imported_before_it_is_let_in(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD})
    load()
    assert "diffx_good" not in sys.modules


CORE = importlib.metadata.version("diffx-core")
REQUIREMENTS = {
    "met": (f"diffx-core=={CORE}", True),
    "none": ("numpy", True),
    "no-version": ("diffx-core", True),
    "old": ("diffx-core<0.0.1", False),
    "new": ("diffx-core>=999", False),
    "other-spelling": ("Diffx_Core >= 999", False),
    "parentheses": ("diffx-core (>=999)", False),
    "extra-of-core": ("diffx-core[testing]>=999", False),
    "other-distribution": ("diffx-core-extras>=999", True),
    "for-an-extra": ('diffx-core>=999; extra == "new"', True),
    "for-another-python": ('diffx-core>=999; python_version < "3"', True),
    "for-this-python": ('diffx-core>=999; python_version >= "3"', False),
    "by-address": ("diffx-core @ https://example.invalid/core.whl", True),
    "unreadable": ("diffx-core >=> 1", False),
}


@pytest.mark.parametrize(("requirement", "met"), REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_a_plugin_for_another_core_is_refused(fake_distribution, requirement, met):
    fake_distribution("diffx-good", {"plugin": GOOD}, requires=["torch", requirement])
    registry = load("good")
    assert names(registry) == (["good"] if met else [])
    assert [f.error.partition(":")[0] for f in registry.failures] == ([] if met else ["version"])


def test_a_refused_plugin_is_told_both_versions_and_not_imported(fake_distribution):
    fake_distribution("diffx-bad", {"plugin": "1 / 0"}, requires=["diffx-core>=999"])
    (failure,) = load("bad").failures
    assert failure.error == f"version: it needs diffx-core >=999, and {CORE} is installed"
    assert "diffx_bad.plugin" not in sys.modules


def test_the_first_distribution_of_a_name_on_the_path_wins(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD}, version="1.0")
    fake_distribution("Diffx.Good", {}, version="2.0", entry_points={"good": "diffx_good.plugin"})
    assert [r.label for r in load("good").all()] == ["good (Diffx.Good 2.0)"]


def test_a_shadowed_distribution_offers_nothing(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD}, version="1.0")
    fake_distribution("diffx-good", {}, version="2.0", entry_points={})
    assert load().all() == ()
    with pytest.raises(ConfigError, match="names 'good', which is not an installed plugin"):
        load("good")


def test_remains_of_a_distribution_are_not_one(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD})
    fake_distribution("diffx-gone", {"plugin": GOOD}, metadata="")
    assert names(load("good")) == ["good"]
    with pytest.raises(ConfigError, match="names 'gone'"):
        load("gone")


def test_what_an_interrupted_uninstall_leaves_is_no_distribution(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD})
    folder = fake_distribution("diffx-gone", {"plugin": GOOD})
    (info,) = folder.glob("*.dist-info")
    info.rename(folder / "~iffx_gone-1.0.dist-info")
    assert names(load("good")) == ["good"]


def test_unreadable_entry_points_are_reported(fake_distribution):
    folder = fake_distribution("diffx-bad", {"plugin": GOOD})
    (path,) = folder.glob("*/entry_points.txt")
    path.write_text("[diffx]\nno equals sign\n")
    assert load("diffx-bad").failures[0].error.startswith("metadata: ")


def test_binary_entry_points_of_a_stranger_do_no_harm(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD})
    folder = fake_distribution("stranger", {})
    (path,) = folder.glob("*/entry_points.txt")
    path.write_bytes(b"[diffx]\n\xff\xfe = x\n")
    assert names(load("good")) == ["good"]


@pytest.fixture
def two(fake_distribution):
    fake_distribution("diffx-good", {"plugin": GOOD})
    fake_distribution(
        "Diffx_Better",
        {"plugin": GOOD.replace('"good"', '"better"')},
        package="diffx_better",
        entry_points={"b": "diffx_better.plugin"},
    )


@pytest.mark.parametrize(
    ("allow", "disable", "expected"),
    [
        ("", "", []),
        ("good", "", ["good"]),
        ("b", "", ["better"]),
        ("diffx.better", "", ["better"]),
        (" good , b, ", "", ["better", "good"]),
        ("good,b", "b", ["good"]),
        ("good,b", "diffx-better", ["good"]),
        ("good", "not-installed", ["good"]),
    ],
)
def test_the_environment_chooses(two, allow, disable, expected):
    assert names(load(allow, DIFFX_DISABLE_PLUGINS=disable)) == expected


def test_without_an_allow_list_everything_is_let_in(two):
    assert {"good", "better"} <= set(names(Registry.load({})))


def test_disabling_needs_no_allow_list(two):
    assert "good" not in names(Registry.load({"DIFFX_DISABLE_PLUGINS": "diffx-good"}))


def test_an_allow_list_that_names_nothing_installed_is_an_error(two):
    with pytest.raises(ConfigError) as caught:
        load("goood", "b", "xyz")
    first, second = caught.value.problems
    assert "'goood', which is not an installed plugin: did you mean 'good'?" in first
    assert "'xyz', which is not an installed plugin; installed: " in second


def test_a_strict_environment_raises_the_failure_with_its_cause(fake_distribution):
    fake_distribution("diffx-bad", {"plugin": "1 / 0"})
    with pytest.raises(PluginError, match=r"'bad' \(diffx-bad 1.0\) is disabled: import") as caught:
        load("bad", DIFFX_STRICT_PLUGINS="1")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("value", ["", "0"])
def test_strictness_can_be_off(fake_distribution, value):
    fake_distribution("diffx-bad", {"plugin": "1 / 0"})
    assert len(load("bad", DIFFX_STRICT_PLUGINS=value).failures) == 1


def test_strictness_is_on_or_off():
    with pytest.raises(ConfigError, match="must be 0 or 1, got 'yes'"):
        load(DIFFX_STRICT_PLUGINS="yes")
