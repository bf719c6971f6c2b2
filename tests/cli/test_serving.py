"""The server of `diffx ui` ends by Ctrl-C, also in a program that was told to ignore it."""

import os
import signal

import pytest

from diffx_cli.ui.serving import bound, serve


class Idle:
    """Draws nothing."""

    stopped = 0

    def stop(self):
        self.stopped += 1

    def has_ended(self, seconds):
        return True


async def silent(scope, receive, send):
    """An application that nobody asks."""


@pytest.mark.parametrize("usual", [signal.default_int_handler, signal.SIG_IGN])
def test_an_interrupt_ends_it(usual):
    before, studio = signal.signal(signal.SIGINT, usual), Idle()
    try:
        with bound(0) as listening, pytest.raises(KeyboardInterrupt):
            serve(silent, studio, listening, lambda: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert studio.stopped
