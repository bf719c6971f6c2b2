"""The page about recipes and presets is true: its commands are understood, its tables are right."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.mlp import MLP
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_cli.commands import COMMANDS
from diffx_cli.line.grammar import parse
from diffx_cli.recipes import recipe, recipes
from diffx_cli.train.sizing import BATCHES, LARGER, POINTS
from diffx_core import ComesInSizes, DataSpec, SizeName
from diffx_core.config import read_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "training" / "recipes.md").read_text(encoding="utf-8")
LINES = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]
KINDS = ("scheduler", "backbone", "dataset")


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_understood(line):
    call = parse(shlex.split(line), COMMANDS)
    assert call.command in COMMANDS.values()
    components = {f"{kind}." for kind in KINDS}
    for key in call.options:
        assert key in call.command.declared() or any(map(key.startswith, components))


def test_the_table_says_what_each_recipe_holds():
    rows = {row[0].strip("`"): row for row in ROWS if len(row) == 5}
    assert set(rows) == set(recipes())
    for name, (_, _, process, network, length) in rows.items():
        values = {key: one.value for key, one in read_yaml(recipe(name), named=KINDS).items()}
        assert process == f"`{values['scheduler']}`, {values['objective.prediction']}"
        assert network == f"`{values['backbone']}` {values['backbone.preset']}"
        assert length == f"{values['train.steps']} x {values['train.batch_size']}"


def test_the_table_says_what_each_size_is():
    rows = [row for row in ROWS if len(row) == 7]
    assert tuple(row[0].strip("`") for row in rows) == get_args(SizeName)
    spec = DataSpec(shape=(3, 32, 32))
    for size, _, *presets, mlp in rows:
        name = size.strip("`")
        found = [cls.sized(name, spec).options["preset"] for cls in (UNet, EDM2, DiT, UViT)]
        assert [one.strip("`") for one in presets] == found
        options = MLP.sized(name, DataSpec(shape=(2,))).options
        assert mlp == f"{options['width']} x {options['depth']}"


def test_the_limits_are_those_of_the_table():
    told = [int(one) for one in re.findall(r"^\| `\w+` \| less than (\d+) GiB", PAGE, re.MULTILINE)]
    assert told == sorted(least for least, _ in LARGER)
    assert f"{BATCHES['small']} images, {BATCHES['medium']} from `medium` on" in PAGE
    assert f"{POINTS} vectors" in PAGE


def test_the_example_comes_in_sizes():
    (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names = {}
    exec(compile(source, "recipes.md", "exec"), names)
    assert isinstance(names["Affine"], ComesInSizes)
    sized = names["Affine"].sized("large", DataSpec(shape=(2,)))
    assert sized.options == {"width": 1024}
