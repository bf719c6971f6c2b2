"""The page about backbones is true: its commands run, its sizes are those of the presets."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from diffx_backbones.attention import SHORT
from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.presets import SIZES
from diffx_backbones.unet import UNet
from diffx_backbones.unet_presets import EDM2_PLANS, PLANS
from diffx_cli.__main__ import main
from diffx_core import DataSpec
from networks import CASES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "backbones.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
UNET, DIT = PAGE.split("## dit\n")
EDM2S = re.findall(
    r"^\| `(\w+)`[^|]*\| (\d+) \| ((?:\d, )+\d) \| (\d) \| ([\d.]+) M \|$", DIT, re.MULTILINE
)
ROWS = re.findall(r"^\| `(\w+)[^|]*\| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) M \|$", DIT, re.MULTILINE)
UNETS = re.findall(
    r"^\| `(\w+)`[^|]*\| (\d+) \|.*\| ([\d.]+) \| ([\d.]+) M \|$", UNET, re.MULTILINE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)) == 0, capsys.readouterr().err


def test_what_is_said_of_a_size_is_what_is_printed(capsys):
    assert main(shlex.split(COMMANDS[0])) == 0
    parameters, gflop = re.search(r"says ([\d,]+) parameters and (\d+) GFLOP", PAGE).groups()
    out = " ".join(capsys.readouterr().out.split())
    assert f"parameters {parameters} GFLOP {gflop} " in out


def test_every_preset_has_its_row():
    assert {name: tuple(map(int, numbers)) for name, *numbers, _ in ROWS} == SIZES


def test_every_preset_of_the_unet_has_its_row():
    assert [name for name, *_ in UNETS] == list(PLANS)
    for name, channels, dropout, size in UNETS:
        assert (PLANS[name].channels, PLANS[name].dropout) == (int(channels), float(dropout))
        with torch.device("meta"):
            network = UNet(DataSpec((3, 32, 32)), preset=name)
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        assert millions == pytest.approx(float(size), rel=0.03)


def test_every_preset_of_edm2_has_its_row():
    assert [name for name, *_ in EDM2S] == list(EDM2_PLANS)
    for name, channels, mults, blocks, size in EDM2S:
        plan = EDM2_PLANS[name]
        assert plan.mults == tuple(map(int, mults.split(", ")))
        assert (plan.channels, plan.blocks) == (int(channels), int(blocks))
        with torch.device("meta"):
            network = EDM2(DataSpec((4, 64, 64), num_classes=1000), preset=name)
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        assert millions == pytest.approx(float(size), rel=0.03, abs=0.05)


@pytest.mark.parametrize(("name", "published"), [(row[0], float(row[-1])) for row in ROWS])
def test_a_preset_has_as_many_parameters_as_the_page_says(name, published):
    with torch.device("meta"):
        network = DiT(DataSpec((4, 32, 32), num_classes=1000), preset=f"{name}/2")
    size = sum(p.numel() for p in network.parameters()) / 1e6
    assert size == pytest.approx(published, rel=0.03)


def test_the_threshold_of_attention_is_the_one_that_is_used():
    assert f"up to {SHORT} tokens" in PAGE


def test_the_page_is_linked():
    assert "](docs/training/backbones.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_network_that_was_timed_is_built_by_the_script():
    timed = re.findall(r"^\| `([^`]+)`[^|]*\| \d+ \| \d+ \|$", PAGE, re.MULTILINE)
    assert timed == list(CASES)
    for build, options in CASES.values():
        with torch.device("meta"):
            assert build(DataSpec((3, 32, 32)), **options)
