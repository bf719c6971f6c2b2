"""Broken plugins disable themselves alone, and are named when it matters."""

import json

import pytest

PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component({name!r}, {target!r}, "For tests")]
"""

BROKEN = {
    "import error": ("import nothing_of_this_name", "nothing_of_this_name"),
    "exit": ("import sys\nsys.exit(0)", "sys.exit"),
    "base exception": ("raise BaseException('no')", "no"),
    "interrupt": ("raise GeneratorExit", "GeneratorExit"),
    "misspelt hook": (
        PLUGIN.format(name="x", target="a:B").replace("diffx_schedulers", "diffx_scheduler"),
        "diffx_scheduler",
    ),
    "wrong signature": (
        PLUGIN.format(name="x", target="a:B").replace("ers():", "ers(extra):"),
        "extra",
    ),
    "no list": (
        "from diffx_core import hookimpl\n@hookimpl\ndef diffx_samplers(): return 3",
        "int",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_listed_and_the_others_work(diffx, fake_distribution, source, reason):
    fake_distribution("diffx-wobble", {"plugin": source})
    result = diffx("list-plugins", "--json")
    assert (result.rc, result.err) == (0, "")
    rows = {row["qualified"]: row for row in json.loads(result.out)}
    assert rows["diffx-wobble:wobble"]["status"] == "failed"
    assert reason in rows["diffx-wobble:wobble"]["error"]
    assert rows["diffx-schedulers:vesde"]["status"] == "ok"
    assert "wobble" in diffx("--help").out


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_asking_for_a_broken_plugin_tells_why(diffx, fake_distribution, source, reason):
    fake_distribution("diffx-wobble", {"plugin": source})
    result = diffx("train", "--scheduler", "wobble")
    assert result.rc == 3
    assert reason in result.err
    assert "diffx-wobble" in result.err


def test_a_plugin_that_prints_does_not_spoil_the_output(diffx, fake_distribution):
    source = "print('hello')\n" + PLUGIN.format(name="wobble", target="diffx_wobble.sde:W")
    fake_distribution("diffx-wobble", {"plugin": source})
    assert "wobble" in {row["name"] for row in json.loads(diffx("list-plugins", "--json").out)}


def test_a_plugin_for_another_core_is_disabled(diffx, fake_distribution):
    source = PLUGIN.format(name="wobble", target="diffx_wobble.sde:W")
    fake_distribution("diffx-wobble", {"plugin": source}, requires=["diffx-core>=99"])
    result = diffx("train", "--scheduler", "wobble")
    assert result.rc == 3
    assert "99" in result.err


TARGETS = {
    "missing module": ({}, "No module named"),
    "import error": ({"sde": "import nothing_of_this_name"}, "nothing_of_this_name"),
    "exit": ({"sde": "import sys; sys.exit()"}, "sys.exit"),
    "missing class": ({"sde": ""}, "no attribute"),
    "no class": ({"sde": "Wobble = 3"}, "not a class"),
    "no annotation": (
        {
            "sde": "from diffx_core import Scheduler\nclass Wobble(Scheduler):\n"
            "    def __init__(self, *, rate=1): pass"
        },
        "option rate",
    ),
}


@pytest.mark.parametrize(("files", "reason"), TARGETS.values(), ids=TARGETS)
def test_a_component_that_cannot_be_loaded_is_named(diffx, fake_distribution, files, reason):
    plugin = PLUGIN.format(name="wobble", target="diffx_wobble.sde:Wobble")
    fake_distribution("diffx-wobble", {"plugin": plugin, **files})
    result = diffx("train", "--scheduler", "wobble")
    assert result.rc == 3
    assert reason in result.err
    assert "Traceback" not in result.err


def test_two_distributions_with_one_name_need_the_full_name(diffx, echo, fake_distribution):
    plugin = PLUGIN.format(name="vesde", target="diffx_other.sde:Other")
    source = "from diffx_core import Scheduler\nclass Other(Scheduler): pass"
    fake_distribution("diffx-other", {"plugin": plugin, "sde": source})
    result = diffx("train", "--scheduler", "vesde")
    assert result.rc == 2
    assert "diffx-other:vesde" in result.err
    assert "diffx-schedulers:vesde" in result.err
    assert "full name: diffx-other:vesde" in diffx("describe", "scheduler", "diffx-other:vesde").out
    assert "sigma_max" in diffx("describe", "scheduler", "diffx-schedulers:vesde").out


def test_no_plugins_means_none(diffx, monkeypatch):
    monkeypatch.setenv("DIFFX_PLUGINS", "")
    assert json.loads(diffx("list-plugins", "--json").out) == []
    assert diffx("--help").rc == 0
    assert diffx("train", "--help").rc == 0
    assert diffx("train").rc in (2, 3)


def test_strict_plugins_stop_everything(diffx, fake_distribution, monkeypatch):
    fake_distribution("diffx-wobble", {"plugin": "1 / 0"})
    monkeypatch.setenv("DIFFX_STRICT_PLUGINS", "1")
    result = diffx("list-plugins")
    assert result.rc == 3
    assert "ZeroDivisionError" in result.err


def test_fifty_plugins_are_listed_without_importing_one(diffx, fake_distribution):
    for i in range(50):
        plugin = PLUGIN.format(name=f"w{i}", target=f"diffx_w{i}.sde:W")
        fake_distribution(f"diffx-w{i}", {"plugin": plugin, "sde": "raise RuntimeError"})
    result = diffx("list-plugins", "--kind", "scheduler")
    assert result.rc == 0
    assert sum(line.split()[1].startswith("w") for line in result.out.splitlines()) == 50


def test_only_one_kind_is_listed(diffx):
    rows = json.loads(diffx("list-plugins", "--kind", "sampler", "--json").out)
    assert {row["kind"] for row in rows} == {"sampler"}
    assert {"ddim", "pc"} <= {row["name"] for row in rows}


def test_a_description_has_every_option(diffx, echo):
    described = json.loads(diffx("describe", "scheduler", "echo", "--json").out)
    assert described["distribution"] == "diffx-echo"
    options = {option["name"]: option for option in described["options"]}
    assert options["rate"] == {
        "name": "rate",
        "type": "float",
        "required": False,
        "default": 1.0,
        "help": "how much.",
    }
    assert options["dims"]["default"] == [1]
    assert options["tag"]["type"] == "str or none"
    text = diffx("describe", "scheduler", "echo").out
    assert "echo (diffx-echo 1.0): For tests" in text
    assert all(f"--scheduler.{name}" in text for name in options)
