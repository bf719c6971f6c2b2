import pytest
from attrs.exceptions import FrozenInstanceError

from diffx_core.errors import ConfigError
from diffx_core.plugins import HOOK_OF_KIND, KINDS, Component, Hooks


@pytest.mark.parametrize("name", ["v", "vesde", "ddpm_2", "edm2"])
def test_a_name_is_a_lower_case_identifier(name):
    assert Component(name, "pkg.mod:Class").name == name


@pytest.mark.parametrize("name", ["", "VESDE", "2nd", "_x", "ddpm++", "a-b", "a:b", "a\n", None, 3])
def test_another_name_is_refused(name):
    with pytest.raises(ConfigError, match="name must be"):
        Component(name, "pkg.mod:Class")


@pytest.mark.parametrize("target", ["mod:Class", "pkg.mod:Class", "pkg.mod:Outer.Inner"])
def test_a_target_is_a_module_and_a_class(target):
    assert Component("cosh", target).target == target


@pytest.mark.parametrize(
    "target", ["", "pkg.mod", "pkg.mod:", ":Class", "pkg..mod:C", "a:b:c", "pkg mod:C", dict]
)
def test_another_target_is_refused(target):
    with pytest.raises(ConfigError, match="target must look like"):
        Component("cosh", target)


@pytest.mark.parametrize("summary", ["two\nlines", "\x1b[31mred", None])
def test_a_summary_is_one_printable_line(summary):
    with pytest.raises(ConfigError, match="one line of text"):
        Component("cosh", "pkg.mod:Class", summary)


def test_every_problem_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        Component("No", "no", "n\no")
    assert len(caught.value.problems) == 3


def test_a_component_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Component("cosh", "pkg.mod:Class").name = "other"


def test_every_kind_has_a_hook():
    assert list(HOOK_OF_KIND) == list(KINDS)
    assert all(callable(getattr(Hooks, hook)) for hook in HOOK_OF_KIND.values())
