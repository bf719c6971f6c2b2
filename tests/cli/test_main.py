"""What every way of ending looks like from outside: a code, and lines on stderr."""

import os
import subprocess
import sys

import pytest
from attrs import evolve

from diffx_cli import commands
from diffx_cli.__main__ import main
from diffx_core.errors import (
    CheckpointError,
    ComponentError,
    ConfigError,
    DataError,
    NonFiniteError,
    PluginError,
)

ENDS = {
    "config": (ConfigError("a", "b"), 2, ["a", "b"]),
    "plugin": (PluginError("a"), 3, ["a"]),
    "component": (ComponentError("backbone", "a"), 3, ["a"]),
    "data": (DataError("a"), 4, ["a"]),
    "checkpoint": (CheckpointError("a"), 5, ["a"]),
    "non-finite": (NonFiniteError("a"), 6, ["a"]),
    "interrupt": (KeyboardInterrupt(), 130, ["interrupted"]),
    "anything else": (
        RuntimeError("a\n  b"),
        1,
        ["internal error: RuntimeError: a b (--debug shows where)"],
    ),
    "long": (ValueError("x" * 100_000), 1, ["internal error: ValueError: " + "x" * 1972]),
}


def _failing(error):
    def run(_request):
        raise error

    return run


@pytest.mark.parametrize(("error", "rc", "lines"), ENDS.values(), ids=ENDS)
def test_an_error_is_lines_and_a_code(diffx, monkeypatch, error, rc, lines):
    broken = evolve(commands.COMMANDS["list-plugins"], run=_failing(error))
    monkeypatch.setitem(commands.COMMANDS, "list-plugins", broken)
    result = diffx("list-plugins")
    assert result.rc == rc
    assert result.err.splitlines() == [f"diffx: error: {line}" for line in lines]


def test_debug_shows_where(diffx, monkeypatch):
    broken = evolve(commands.COMMANDS["list-plugins"], run=_failing(RuntimeError("a")))
    monkeypatch.setitem(commands.COMMANDS, "list-plugins", broken)
    result = diffx("list-plugins", "--debug")
    assert result.rc == 1
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1] == "diffx: error: internal error: RuntimeError: a"


def test_a_closed_stdout_is_no_error(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "diffx_cli", "list-plugins"],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_stdout_is_no_error(tmp_path):
    line = f"exec {sys.executable} -m diffx_cli list-plugins >&-"
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_bytes_that_are_not_utf_8_are_refused(tmp_path):
    command = [sys.executable.encode(), b"-m", b"diffx_cli", b"train", b"--out", b"a\xffb"]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"not UTF-8" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_main_reads_the_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["diffx", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("diffx ")
