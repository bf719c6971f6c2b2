"""The page about averages is true: its code and its commands run, its numbers are those found."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from diffx_cli.__main__ import main
from diffx_core.engine.averaging.profile import Profile, exponent, fit
from diffx_core.options.ema import EMA_PARAMETERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "ema.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
SMALL = "--dataset toy2d --backbone mlp --backbone.width 16 --train.batch-size 8"
SIZE = {"train": SMALL, "ema": "", "sample": "--n 2 --nfe 2"}


def test_the_table_has_every_kind_and_its_options():
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|(.*)\|$", PAGE, re.MULTILINE)
    found = {kind: set(re.findall(r"`(\w+)`", used)) for kind, used in rows}
    assert found == {kind: set(used) for kind, used in EMA_PARAMETERS.items()}


def test_the_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    """A tenth as long as on the page."""
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        shorter = re.sub(r"\b(\d+0)0\b", r"\1", command)
        words = [*shlex.split(shorter), *shlex.split(SIZE[command.split()[0]])]
        assert main(words) == 0, capsys.readouterr().err


def test_the_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    torch.manual_seed(0)
    names = {}
    exec(compile(source, "ema.md", "exec"), names)
    assert names["longer"].step == 500
    saved = torch.load("weights.pt", weights_only=True)
    assert not torch.equal(saved["weight"], names["longer"].state["weight"])


@pytest.mark.parametrize("row", re.findall(r"^  \| (\d+) \| (.*) \|$", PAGE, re.MULTILINE))
def test_the_distances_are_those_of_the_fit(row):
    count, said = int(row[0]), [float(one) for one in row[1].split(" | ")]
    kept = [Profile(n, exponent(width)) for n in range(1, count + 1) for width in (0.05, 0.10)]
    found = [fit(kept, Profile(count, exponent(width))).error for width in (0.03, 0.07, 0.15, 0.25)]
    assert said == pytest.approx(found, rel=0.05)  # two digits are given


def test_the_page_is_linked():
    assert "](docs/training/ema.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
