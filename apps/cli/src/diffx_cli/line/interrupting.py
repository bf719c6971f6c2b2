"""Ctrl-C while torch is imported.

The import runs Python inside of C++ and of handlers of errors, which lose an exception or take it
for another one: the program would go on, or end with what nobody understands. Nothing has been
begun by then, so it is left at once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from diffx_cli.line.console import complain

INTERRUPTED = 130
"""What a program ends with that Ctrl-C has ended."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the program even then, where it would end it at all."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "torch":
            complain("diffx: error: interrupted")
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt
