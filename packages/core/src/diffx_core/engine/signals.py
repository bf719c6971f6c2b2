"""Signals that ask a run to end: it finishes its step, saves, and leaves.

A second Ctrl-C leaves at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from attrs import define

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""What people, schedulers of clusters (SIGUSR1 some time before the end), and launchers send."""


@define
class Asked:
    """Whether a signal has asked the run to end.

    Args:
        by: which; None as long as none has.
    """

    by: signal.Signals | None = None

    def __call__(self) -> str:
        """Why the run should end; empty if it should not."""
        return "" if self.by is None else self.by.name


@contextmanager
def listening() -> Iterator[Asked]:
    """Notice signals instead of dying of them; outside of a main thread there are none."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def hear(number: int, _: FrameType | None) -> None:
        if asked.by is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.by = asked.by or signal.Signals(number)

    before = {one: signal.signal(one, hear) for one in ASKING}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def exit_code(reason: str) -> int | None:
    """What the program ends with if a signal of that name ended the run; None if none did."""
    if reason not in {one.name for one in ASKING}:
        return None
    # Launchers know these two; the others mean the same as SIGTERM.
    return 128 + (signal.SIGINT if reason == "SIGINT" else signal.SIGTERM)
