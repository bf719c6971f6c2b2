"""Help is on stdout, ends with 0, and never runs anything. None of this needs torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffx_cli.commands import COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["-h"],
        ["help"],
        *([name, "--help"] for name in COMMANDS),
        ["train", "-h"],
        ["help", "train"],
        ["train", "--seed", "x", "--help"],
        ["train", "--help", "--scheduler"],
        ["train", "stray", "--nonsense", "-h"],
    ],
    ids=" ".join,
)
def test_help_is_shown_and_nothing_is_done(diffx, arguments):
    result = diffx(*arguments)
    assert result.rc == 0
    assert result.out.startswith(("diffx:", "usage: diffx"))
    assert not result.err
    assert list(Path.cwd().iterdir()) == []


def test_general_help_lists_commands_and_components(diffx):
    out = diffx("--help").out
    assert all(name in out for name in COMMANDS)
    assert all(name in out for name in ("vesde", "dit", "pc", "toy2d"))


def test_help_of_a_command_has_every_declared_option_with_its_default(diffx):
    out = " ".join(diffx("train", "--help").out.split())
    for key in COMMANDS["train"].declared():
        assert f"--{key if '.' in key else key.replace('_', '-')}" in out
    assert "[default: 2000]" in out
    assert "sigma_max FLOAT" not in out
    assert "``" not in out


@pytest.mark.parametrize("line", ["describe KIND [NAME]", "sample [RUN]", "new-plugin KIND NAME"])
def test_usage_has_brackets_around_words_that_may_be_left_out(diffx, line):
    out = diffx(line.split()[0], "--help").out
    assert out.startswith(f"usage: diffx {line} [--option value ...]\n")


def test_help_says_how_an_option_that_is_on_is_switched_off(diffx):
    out = " ".join(diffx("train", "--help").out.split())
    assert "--objective.scale_input true|false show" in out
    assert "velocities see it as it is. [default: true]" in out
    assert "--train.shard divide" in out


def test_help_beside_a_component_shows_its_options(diffx):
    out = diffx("train", "--scheduler", "vesde", "--help").out
    assert "vesde (diffx-schedulers 0.1.0)" in out
    assert "--scheduler.sigma_max FLOAT" in out


def test_help_beside_an_unknown_component_says_so(diffx):
    result = diffx("train", "--scheduler", "vesdee", "--help")
    assert result.rc == 2
    assert "'vesde'" in result.err


@pytest.mark.parametrize("arguments", [["--version"], ["train", "--version"]], ids=" ".join)
def test_the_version_is_one_line(diffx, arguments):
    result = diffx(*arguments)
    assert (result.rc, result.out.count("\n")) == (0, 1)
    assert result.out.startswith("diffx 0.")


TORCH_FREE = {
    "general help": ([], 0),
    "version": (["--version"], 0),
    **{f"help of {name}": ([name, "--help"], 0) for name in COMMANDS},
    "help train": (["help", "train"], 0),
    "list-plugins": (["list-plugins"], 0),
    "list-plugins json": (["list-plugins", "--json"], 0),
    "recipes": (["recipes"], 0),
    "recipe": (["recipes", "digits"], 0),
    "unknown recipe": (["train", "--recipe", "digit"], 2),
    "unknown command": (["trian"], 2),
    "unknown flag": (["train", "--sheduler", "vesde"], 2),
    "unknown component": (["train", "--scheduler", "vpsdee"], 2),
    "unknown option of a section": (["train", "--train.lrr", "1"], 2),
    "value of a section": (["train", "--train.lr", "nan"], 2),
    "grammar": (["train", "stray"], 2),
    "missing file": (["train", "--config", "missing.yaml"], 2),
    "unknown sampler": (["sample", "--sampler", "dddim"], 2),
    "described objectives": (["describe", "objective"], 0),
    "described objective": (["describe", "objective", "edm", "--json"], 0),
    "described component": (["describe", "scheduler", "vesdee"], 2),
    "checked component": (["check-plugin", "vpsdee"], 2),
    "broken component": (["train", "--scheduler", "elsewhere:x"], 3),
}

PROBE = """
import sys
from diffx_cli.__main__ import main
rc = main(sys.argv[2:])
heavy = {"torch", "numpy", "matplotlib", "torchvision", "sklearn"} & set(sys.modules)
assert not heavy, heavy
assert rc == int(sys.argv[1]), rc
"""


@pytest.mark.parametrize(("arguments", "rc"), TORCH_FREE.values(), ids=TORCH_FREE)
def test_torch_is_not_imported(arguments, rc, tmp_path):
    command = [sys.executable, "-c", PROBE, str(rc), *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [[], ["--version"], ["train", "--help"], ["train", "-x"]], ids=str
)
def test_fire_is_not_imported_where_it_has_nothing_to_do(arguments, tmp_path):
    code = "import sys; from diffx_cli.__main__ import main; main(sys.argv[1:])"
    code += "; assert 'fire' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
