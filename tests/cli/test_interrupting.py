"""Ctrl-C ends the program with one line, also while torch is imported."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys

modules, last = [], int(sys.argv[1])

def press(event, arguments):
    if event == "import" and (modules or arguments[0] == "torch"):
        modules.append(arguments[0])
        if len(modules) == last:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.addaudithook(press)
from diffx_cli.__main__ import main

sys.exit(main(["train", "--dataset", "toy2d", "--backbone", "mlp", "--dry-run"]))
"""


@pytest.mark.parametrize("modules", [1, 60, 110, 300])
def test_an_import_of_torch_that_is_interrupted_is_one_line(modules):
    """Without care the program goes on after some of them, and calls others an internal error."""
    command = [sys.executable, "-c", PROGRAM, str(modules)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr == "diffx: error: interrupted\n"
