"""Telling observers, none of whom can stop or change the run.

One that raises is switched off with one line that names it. Global random numbers are what they
were before, whatever it drew; what it prints goes to stderr, because stdout may be a JSON document.
"""

import logging
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import numpy as np
import torch
from attrs import define, field

from diffx_core.engine.events import Event, Observer

log = logging.getLogger(__name__)


@define
class Told:
    """Several observers as one, in the order in which they are told.

    Args:
        observers: who is told.
        note: takes the line about one that is switched off.
    """

    observers: Sequence[Observer]
    note: Callable[[str], None] = log.warning
    _listening: list[Observer] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._listening = list(self.observers)

    def __call__(self, event: Event) -> None:
        """Tell those who still listen."""
        with undisturbed():
            for observer in tuple(self._listening):
                try:
                    observer(event)
                except (Exception, SystemExit) as cause:  # noqa: BLE001 - as this module says
                    self._listening = [one for one in self._listening if one is not observer]
                    self.note(f"{called(observer)} is switched off, the run goes on: {why(cause)}")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts back the global random numbers and torch's grad mode, whatever the body does to them."""
    ours = random.getstate()
    legacy = np.random.get_state()  # noqa: NPY002 - the global one is what must not change
    cpu = torch.get_rng_state()
    gpu = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    try:
        with torch.no_grad(), redirect_stdout(sys.stderr):
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(legacy)  # noqa: NPY002 - the same
        torch.set_rng_state(cpu)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu)


def called(observer: Observer) -> str:
    """The name of an observer for messages: its own label, or that of its class or function."""
    label = getattr(observer, "label", None) or getattr(observer, "__name__", None)
    return str(label or type(observer).__name__)


def why(cause: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(cause, SystemExit):
        return f"it called sys.exit({cause.code!r})"
    if isinstance(cause, OSError) and cause.strerror:
        where = "" if cause.filename is None else f"{cause.filename}: "
        return f"{where}{cause.strerror}"
    try:
        text = " ".join(str(cause).split())
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything
        text = ""
    return f"{type(cause).__name__}: {text}".removesuffix(": ")
