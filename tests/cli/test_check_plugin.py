"""`diffx check-plugin`: the laws of the conformance kit from the shell."""

import json
import subprocess
import sys

import pytest

from diffx_core.plugins.hookspecs import HOOK_OF_KIND
from diffx_core.testing import BACKBONE_LAWS, DATASET_LAWS, SAMPLER_LAWS, SCHEDULER_LAWS
from diffx_schedulers.plugin import diffx_schedulers

PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [
        Component("wobble", "diffx_wobble.sde:Wobble", "For tests"),
        Component("bare", "diffx_wobble.sde:Bare", "For tests"),
    ]
"""
LONE = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component("lone", "diffx_lone.sde:Wobble", "For tests")]
"""
LAWFUL = """
from attrs import frozen
from diffx_core import Scheduler

@frozen(kw_only=True)
class Wobble(Scheduler):
    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t.clone()

class Bare(Wobble):
    pass
"""
FALSE_DRIFT = LAWFUL.replace(
    "class Bare",
    "    def drift(self, t):\n        return -2 / (1 - t)\n\nclass Bare",
)
RAISES = LAWFUL.replace("return t.clone()", "raise RuntimeError('no noise\\ntoday')")
EXITS = LAWFUL.replace("return t.clone()", "raise SystemExit(7)")
CHATTERS = LAWFUL.replace("return 1 - t", "print('hello'); return 1 - t")
NAN = LAWFUL.replace("return 1 - t", "return (1 - t) * float('nan')")
REQUIRED = LAWFUL.replace(
    "class Wobble(Scheduler):\n", "class Wobble(Scheduler):\n    rate: float\n"
)


@pytest.fixture
def wobble(fake_distribution):
    """A distribution of two processes of a stranger's."""

    def install(source, plugin=PLUGIN):
        return fake_distribution("diffx-wobble", {"plugin": plugin, "sde": source})

    return install


def records(diffx, *arguments, rc=0):
    result = diffx("check-plugin", *arguments, "--json")
    assert result.rc == rc, result.err
    return json.loads(result.out)


def status(found, law):
    return {one["status"] for one in found if law in (one["law"] or "")}


@pytest.mark.parametrize(
    ("name", "kind", "laws"),
    [
        ("vpsde", "scheduler", SCHEDULER_LAWS),
        ("diffx-samplers:ddim", "sampler", SAMPLER_LAWS),
        ("dit", "backbone", BACKBONE_LAWS),
        ("digits", "dataset", DATASET_LAWS),
    ],
)
def test_every_law_of_the_kind_is_measured(diffx, name, kind, laws):
    found = records(diffx, name)
    assert [one["law"] for one in found] == [law.name for law in laws]
    assert {one["kind"] for one in found} == {kind}
    assert {one["status"] for one in found} <= {"ok", "not measured"}
    assert all(one["figure"] <= one["tolerance"] for one in found if one["status"] == "ok")


def test_a_table_has_a_line_for_each_law_and_a_sum(diffx):
    out = diffx("check-plugin", "vpsde").out
    lines = [line for line in out.splitlines() if line.startswith("scheduler vpsde")]
    assert len(lines) == len(SCHEDULER_LAWS)
    assert out.splitlines()[0].split() == ["COMPONENT", "LAW", "FIGURE", "TOLERANCE", "RESULT"]
    assert f"{len(lines) - out.count('not measured:')} ok, 0 failed" in out


@pytest.mark.parametrize("name", ["diffx-wobble", "Diffx_Wobble"])
def test_a_distribution_stands_for_all_of_its_components(diffx, wobble, name):
    wobble(LAWFUL)
    assert {one["name"] for one in records(diffx, name)} == {"wobble", "bare"}
    assert {one["name"] for one in records(diffx, "diffx-wobble:bare")} == {"bare"}


def test_an_entry_point_stands_for_all_of_its_components(diffx):
    offered = {one.name for one in diffx_schedulers()}
    assert {one["name"] for one in records(diffx, "schedulers")} == offered


def test_a_law_that_does_not_hold_fails_and_is_named(diffx, wobble):
    wobble(FALSE_DRIFT)
    law = "drift and diffusion follow from alpha and sigma"
    found = records(diffx, "wobble", rc=1)
    assert status(found, law) == {"fail"}
    assert status(found, "alpha and sigma are finite") == {"ok"}
    result = diffx("check-plugin", "wobble")
    assert result.rc == 1
    assert "scheduler wobble (diffx-wobble 1.0): " in result.err
    assert law in result.err
    assert "FAIL" in result.out


@pytest.mark.parametrize(
    ("source", "detail"),
    [(RAISES, "RuntimeError: no noise today"), (EXITS, "it called sys.exit(7)")],
    ids=["raises", "exits"],
)
def test_a_law_that_raises_fails_with_the_line_of_the_exception(diffx, wobble, source, detail):
    wobble(source)
    found = records(diffx, "wobble", rc=1)
    assert len(found) == len(SCHEDULER_LAWS)
    (one,) = (one for one in found if one["law"] == "log_snr is log(alpha^2 / sigma^2)")
    assert one["status"] == "fail"
    assert one["detail"] == detail


def test_a_figure_that_is_not_a_number_is_a_failure_and_still_json(diffx, wobble):
    wobble(NAN)
    found = records(diffx, "wobble", rc=1)
    (one,) = (one for one in found if one["law"] == "log_snr is log(alpha^2 / sigma^2)")
    assert (one["status"], one["figure"]) == ("fail", None)


def test_a_component_that_prints_does_not_spoil_the_json(diffx, wobble):
    wobble(CHATTERS)
    assert records(diffx, "wobble")


@pytest.mark.parametrize(("name", "said"), [("mnist", "no data in data"), ("npz", "for root")])
def test_a_dataset_whose_files_are_not_here_is_not_measured(
    diffx, name, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = diffx("check-plugin", name)
    assert result.rc == 0
    assert said in result.out
    (one,) = records(diffx, name)
    assert (one["law"], one["status"]) == (None, "not measured")


def test_only_components_of_one_kind_are_checked(diffx, wobble):
    wobble(LAWFUL)
    assert {one["kind"] for one in records(diffx, "wobble", "--kind", "scheduler")} == {"scheduler"}
    assert diffx("check-plugin", "diffx-wobble", "--kind", "sampler").rc == 2


def test_all_that_is_installed_is_checked(diffx, wobble, fake_distribution, monkeypatch):
    wobble(FALSE_DRIFT)
    fake_distribution("diffx-lone", {"plugin": LONE, "sde": LAWFUL})
    monkeypatch.setenv("DIFFX_PLUGINS", "diffx-wobble,diffx-lone")
    found = records(diffx, "--all", rc=1)
    assert [one["law"] for one in found] == 3 * [law.name for law in SCHEDULER_LAWS]
    assert {one["name"] for one in found} == {"wobble", "bare", "lone"}
    assert {one["name"] for one in found if one["status"] == "fail"} == {"wobble", "bare"}
    assert records(diffx, "--all", "--kind", "sampler") == []


def test_a_broken_plugin_is_a_failure_of_all_and_hides_nobody(
    diffx, wobble, fake_distribution, monkeypatch
):
    wobble(LAWFUL)
    fake_distribution("diffx-lone", {"plugin": "import nothing_of_this_name"})
    monkeypatch.setenv("DIFFX_PLUGINS", "diffx-wobble,diffx-lone")
    result = diffx("check-plugin", "--all")
    assert (result.rc, result.err.count("\n")) == (3, 1)
    assert "nothing_of_this_name" in result.err
    assert "scheduler wobble" in result.out


@pytest.mark.parametrize("arguments", [(), ("vpsde", "--all"), ("--kind", "sampler")], ids=str)
def test_either_a_name_or_all_has_to_be_said(diffx, arguments):
    result = diffx("check-plugin", *arguments)
    assert (result.rc, result.err.count("\n"), result.out) == (2, 1, "")
    assert "--all" in result.err


def test_a_component_that_needs_options_is_one_clear_line(diffx, wobble):
    wobble(REQUIRED)
    result = diffx("check-plugin", "wobble")
    assert (result.rc, result.err.count("\n"), result.out) == (2, 1, "")
    assert "scheduler wobble (diffx-wobble 1.0) has no default for rate" in result.err
    assert "SchedulerSuite" in result.err


def test_a_broken_plugin_has_the_exit_code_of_plugins(diffx, wobble):
    wobble(LAWFUL, plugin="import nothing_of_this_name")
    result = diffx("check-plugin", "diffx-wobble")
    assert result.rc == 3
    assert "nothing_of_this_name" in result.err


def test_a_component_that_cannot_be_loaded_does_not_hide_the_others(diffx, wobble):
    wobble(LAWFUL, plugin=PLUGIN.replace(":Bare", ":Missing"))
    result = diffx("check-plugin", "diffx-wobble")
    assert result.rc == 3
    assert "scheduler bare (diffx-wobble 1.0) cannot be loaded" in result.err
    assert "scheduler wobble" in result.out


WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
from diffx_cli.__main__ import main
sys.exit(main(["check-plugin", "rectified_flow"]))
"""


def test_pytest_is_not_needed(tmp_path):
    command = [sys.executable, "-c", WITHOUT_PYTEST]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SDE reproduces the marginals" in done.stdout


@pytest.mark.parametrize(
    "kind", ["scheduler", "backbone", "sampler", "dataset", "text", "logger", "metric"]
)
def test_a_class_that_is_no_component_is_one_clear_line(diffx, fake_distribution, kind):
    hook = HOOK_OF_KIND[kind]
    plugin = PLUGIN.replace("diffx_schedulers", hook)
    fake_distribution("diffx-wobble", {"plugin": plugin, "sde": "class Wobble: ..."})
    result = diffx("check-plugin", "wobble")
    assert (result.rc, result.out, result.err.count("\n")) == (3, "", 1)
    assert f"the class of a {kind} extends" in result.err
    assert "and Wobble does not" in result.err
