"""Signals that ask a run to end: it finishes its step, saves, and leaves.

A second Ctrl-C leaves at once. A launcher that is killed sends no signal; it is missed.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from attrs import define

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
"""What people, schedulers of clusters (SIGUSR1 some time before the end), launchers, and terminals
that are closed send."""
ORPHANED = "its launcher is gone"


@define
class Asked:
    """Whether a signal has asked the run to end.

    Args:
        by: which; None as long as none has.
        parent: without whom it should end as well; None if it does not depend on any.
    """

    by: signal.Signals | None = None
    parent: int | None = None

    def __call__(self) -> str:
        """Why the run should end; empty if it should not."""
        if self.by is not None:
            return self.by.name
        return "" if self.parent in (None, os.getppid()) else ORPHANED


def heard() -> tuple[signal.Signals, ...]:
    """Those of them that are not ignored here, as nohup ignores that a terminal is closed."""
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in ASKING if not (deaf and one is signal.SIGHUP))


@contextmanager
def mortal() -> Iterator[None]:
    """Let signals end this process at once, while there is nothing to save."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, signal.SIG_DFL) for one in heard()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def listening(*, launched: bool = False) -> Iterator[Asked]:
    """Notice signals instead of dying of them; outside of a main thread there are none.

    Args:
        launched: whether the process that started this one has to stay.
    """
    asked = Asked(parent=os.getppid() if launched else None)
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def hear(number: int, _: FrameType | None) -> None:
        if asked.by is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.by = asked.by or signal.Signals(number)

    before = {one: signal.signal(one, hear) for one in heard()}
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
