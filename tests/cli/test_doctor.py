"""`diffx doctor`: all is well here, and whatever is not is red, with the reason."""

import json
import sys

import pytest
import torch

from diffx_cli.__main__ import main
from diffx_cli.doctor import mathematics, surroundings, trained
from diffx_cli.doctor.finding import Finding, Visit, findings
from diffx_core.plugins import Registry

PARTS = [
    *("environment", "plugins", "mathematics", "gradients"),
    *("training", "resuming", "sampling", "speed"),
]
PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component("wobble", "diffx_wobble.sde:Wobble")]
"""
FALSE_DRIFT = """
from attrs import frozen
from diffx_core import Scheduler

@frozen(kw_only=True)
class Wobble(Scheduler):
    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t.clone()

    def drift(self, t):
        return -2 / (1 - t)
"""
NAN = FALSE_DRIFT.replace("return 1 - t", "return (1 - t) * float('nan')")


@pytest.fixture
def visit(tmp_path, monkeypatch, fake_distribution):
    """Of a machine with one process that a stranger has written."""

    def make(source, plugin=PLUGIN):
        fake_distribution("diffx-wobble", {"plugin": plugin, "sde": source})
        monkeypatch.setenv("DIFFX_PLUGINS", "diffx-wobble")
        return Visit(Registry.load(), torch.device("cpu"), True, tmp_path)

    return make


@pytest.mark.slow
def test_all_is_well_and_every_part_is_looked_at(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--quick", "--device", "cpu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(dict.fromkeys(one["part"] for one in found)) == PARTS
    assert {one["status"] for one in found} == {"ok", "told"}
    (learned,) = (one for one in found if one["part"] == "training")
    assert 0.3 < learned["figure"] < learned["limit"] < 0.95
    assert [one["what"] for one in found if one["part"] == "speed"] == [
        f"in batches of {size}" for size in (1, 8, 64)
    ]
    assert list(tmp_path.iterdir()) == []


def test_what_is_red_is_named_and_ends_with_1(capsys, monkeypatch):
    def ill(visit):
        yield Finding(part="plugins", what="diffx-x", status="fail", detail="is broken")

    def well(visit):
        yield Finding(part="speed", what="it", status="ok")

    for module, name in [
        *((surroundings, one) for one in ("environment", "plugins")),
        *((mathematics, one) for one in ("laws", "gradients")),
        *((trained, one) for one in ("training", "resuming", "sampling")),
    ]:
        monkeypatch.setattr(module, name, ill if name == "plugins" else well)
    monkeypatch.setattr("diffx_cli.doctor.speed.speed", well)
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert said.err == "diffx: error: plugins: diffx-x: is broken\n"
    assert "FAIL  plugins      diffx-x" in said.out
    assert "7 of 8 checks are well" in said.out


def test_a_law_that_does_not_hold_is_red(visit):
    (one,) = mathematics.laws(visit(FALSE_DRIFT))
    assert (one.status, one.limit) == ("fail", 0)
    assert one.figure >= 1
    assert "drift and diffusion follow from alpha and sigma" in one.detail


def test_gradients_that_are_not_finite_are_red(visit):
    (one,) = findings("gradients", mathematics.gradients, visit(NAN))
    assert one.status == "fail"


def test_a_broken_plugin_and_a_class_that_is_missing_are_red(visit):
    (one,) = surroundings.plugins(visit("", plugin="import nothing_of_this_name"))
    assert one.status == "fail"
    assert "nothing_of_this_name" in one.detail


def test_a_class_that_is_missing_is_red(visit):
    (one,) = surroundings.plugins(visit("Other = 1"))
    assert one.status == "fail"
    assert "cannot be loaded" in one.detail


def test_a_library_that_is_too_old_is_red(visit, monkeypatch):
    here = surroundings.version
    monkeypatch.setattr(
        surroundings, "version", lambda name: "0.1" if name == "torch" else here(name)
    )
    found = list(surroundings.environment(visit(FALSE_DRIFT)))
    assert {one.status for one in found[:2]} == {"fail"}
    assert "torch is 0.1, and should be >=" in found[0].detail


@pytest.mark.slow
def test_a_program_that_ends_with_an_error_is_red_and_says_which(visit):
    (one,) = findings("training", trained.training, visit(FALSE_DRIFT))
    assert one.status == "fail"
    assert "diffx train ended with" in one.detail


def test_without_a_run_there_is_nothing_to_sample(visit):
    (one,) = findings("sampling", trained.sampling, visit(FALSE_DRIFT))
    assert (one.status, one.detail) == (
        "fail",
        "there is no run, because training failed",
    )


def test_a_device_that_is_not_there_is_refused(capsys):
    assert main(["doctor", "--device", "cuda:99"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_program_of_the_checks_is_this_one(visit, monkeypatch):
    said = []
    monkeypatch.setattr(trained.subprocess, "run", lambda command, **_: said.append(command))
    list(findings("training", trained.training, visit(FALSE_DRIFT)))
    assert said[0][:3] == (sys.executable, "-m", "diffx_cli")
