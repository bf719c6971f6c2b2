"""`diffx doctor`: all is well here, and whatever is not is red, with the reason."""

import errno
import json
import os
import sys
import types
from pathlib import Path

import pytest
import torch

from diffx_cli.__main__ import main
from diffx_cli.doctor import mathematics, places, speed, surroundings, trained
from diffx_cli.doctor.finding import Finding, Visit, findings
from diffx_core.plugins import Registry

PARTS = [
    *("environment", "plugins", "laws", "gradients"),
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


def test_what_a_plugin_requires_is_looked_at_too(visit, fake_distribution):
    there = visit(FALSE_DRIFT)
    fake_distribution("diffx-wobble", {"plugin": PLUGIN}, requires=["torch>=99", "not-there", "!"])
    found = list(surroundings.environment(there))
    (one,) = (one for one in found if "diffx-wobble" in one.what)
    assert (one.status, one.what) == ("fail", "what diffx-wobble 1.0 requires is installed")
    for why in (
        "torch is",
        "should be >=99",
        "not-there is not installed",
        "'!' is no requirement",
    ):
        assert why in one.detail


NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, x, noise_label, cond):
        return x * float("nan") + self.layer.weight.sum()
"""
BACKBONE = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_backbones():
    return [Component("net", "diffx_net.net:Net")]
"""


def test_a_network_of_a_stranger_that_is_not_finite_is_red(visit, fake_distribution, monkeypatch):
    fake_distribution("diffx-net", {"plugin": BACKBONE, "net": NETWORK})
    monkeypatch.setenv("DIFFX_PLUGINS", "diffx-net")
    (one,) = mathematics.laws(Visit(Registry.load(), torch.device("cpu"), True, Path()))
    assert (one.status, one.what) == ("fail", "backbone net obeys its laws")
    assert one.figure >= 4
    assert one.detail.startswith("a new network says zero; ")
    assert one.detail.endswith("; ...: see diffx check-plugin diffx-net:net")


def test_of_our_own_only_processes_are_held_to_their_laws(monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFX_PLUGINS", "diffx-schedulers,diffx-samplers")
    monkeypatch.setattr(mathematics, "check", lambda one: [])
    found = mathematics.laws(Visit(Registry.load(), torch.device("cpu"), True, tmp_path))
    assert {one.what.split()[0] for one in found} == {"scheduler"}


def test_a_cache_that_cannot_be_is_red_and_says_what_to_do(visit, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "file" / "cache"))
    found = list(places.places(visit(FALSE_DRIFT)))
    assert [one.status for one in found] == ["ok", "fail", "ok"]
    assert found[1].what == "the cache can be written"
    assert "set DIFFX_CACHE to a folder" in found[1].detail


def test_a_folder_that_takes_no_file_is_red(visit, monkeypatch, tmp_path):
    def refuse(dir):  # noqa: A002  # its name in tempfile
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), dir)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places.tempfile, "TemporaryFile", refuse)
    (first, *others) = places.places(visit(FALSE_DRIFT))
    assert {one.status for one in (first, *others)} == {"fail"}
    assert first.detail == f"{tmp_path}: {os.strerror(errno.EROFS)}: go to a folder of yours"


def test_a_full_disk_is_red(visit, monkeypatch):
    full = types.SimpleNamespace(free=20_000_000)
    monkeypatch.setattr(places.shutil, "disk_usage", lambda folder: full)
    found = list(places.places(visit(FALSE_DRIFT)))
    assert {one.status for one in found} == {"fail"}
    assert "0.02 GB free" in found[0].detail
    assert "1 GB should be: make room" in found[0].detail


@pytest.mark.slow
def test_a_program_that_ends_with_an_error_is_red_and_says_which(visit):
    (one,) = findings("training", trained.training, visit(FALSE_DRIFT))
    assert one.status == "fail"
    assert one.detail.startswith("diffx train ended with 2: ")
    assert "[" not in one.detail


def test_without_a_run_there_is_nothing_to_sample(visit):
    (slow,) = findings("speed", speed.speed, visit(FALSE_DRIFT))
    assert slow.status == "told"
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
