"""The server of `diffx ui` ends by Ctrl-C, also in a program that was told to ignore it."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal
from diffx_cli.ui.serving import bound, serve

class Idle:  # draws nothing
    def stop(self):
        print("stopped")
    def has_ended(self, seconds):
        return True

async def silent(scope, receive, send):  # nobody asks it
    pass

signal.signal(signal.SIGINT, signal.{usual})
try:
    with bound(0) as listening:
        serve(silent, Idle(), listening, lambda: os.kill(os.getpid(), signal.SIGINT))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("usual", ["default_int_handler", "SIG_IGN"])
def test_an_interrupt_ends_it(usual):
    program = [sys.executable, "-c", PROGRAM.format(usual=usual)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=100)
    assert done.stdout.splitlines()[-1] == "interrupted", done.stderr
    assert "stopped" in done.stdout
