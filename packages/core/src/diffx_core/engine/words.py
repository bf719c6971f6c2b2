"""The last words of processes that work together: what one of them dies of, all of them can say.

A process that fails leaves the others waiting for it in the middle of a step. It writes why where
all can read it, and closes its connections; the others wake up, read, and fail of the same.
"""

import json
import socket
import time
from contextlib import suppress

from attrs import define, frozen
from torch.distributed import Store  # type: ignore[attr-defined] # public all the same

from diffx_core.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DiffxError,
    NonFiniteError,
    PluginError,
)

KINDS = {
    one.exit_code: one
    for one in (DiffxError, ConfigError, PluginError, DataError, CheckpointError, NonFiniteError)
}
INTERRUPTED = 130
PATIENCE = 5.0
"""Seconds to wait for the words of a process whose connections are closed already."""
PAUSE = 0.02
FIRST, SAID, LEFT = "first", "said", "left"


@frozen
class Words:
    """What a process said last.

    Args:
        rank: which process.
        host: where it ran.
        code: the exit code of what it failed of.
        problems: one line for each thing that is wrong.
    """

    rank: int
    host: str
    code: int
    problems: tuple[str, ...]

    @classmethod
    def of(cls, rank: int, error: BaseException) -> "Words":
        """The words of a process that fails of an error."""
        host = socket.gethostname()
        if isinstance(error, KeyboardInterrupt):
            return cls(rank, host, INTERRUPTED, ("interrupted",))
        if isinstance(error, DiffxError):
            # one that names a kind does so in every line of its text, not in its problems
            return cls(rank, host, error.exit_code, tuple(str(error).split("\n")))
        text = " ".join(f"{type(error).__name__}: {error}".split())[:2000]
        return cls(rank, host, DiffxError.exit_code, (text,))

    def error(self) -> BaseException:
        """What the other processes fail of."""
        if self.code == INTERRUPTED:
            return KeyboardInterrupt()
        kind = KINDS.get(self.code, DiffxError)
        return kind(*(f"process {self.rank}: {problem}" for problem in self.problems))

    def written(self) -> str:
        """The words as JSON."""
        return json.dumps([self.rank, self.host, self.code, self.problems])

    @classmethod
    def read(cls, text: str) -> "Words":
        """Words from JSON."""
        rank, host, code, problems = json.loads(text)
        return cls(rank, host, code, tuple(problems))


@define(eq=False)
class Board:
    """Where processes leave their last words. Whoever fails first is the one to speak.

    Args:
        rank: whose it is.
        store: what all of them can read and write.
    """

    rank: int
    store: Store

    def post(self, error: BaseException) -> Words:
        """Leave words; returns those that were there first, which may be others'."""
        own = Words.of(self.rank, error)
        try:
            return Words.read(self.store.compare_set(FIRST, "", own.written()).decode())
        except (RuntimeError, ValueError):  # whoever kept the store is gone
            return own

    def first(self, wait: float = PATIENCE) -> Words | None:
        """The words that came first; None if nobody has left any in so many seconds."""
        text = self._come(FIRST, wait)
        return None if text is None else Words.read(text)

    def say(self) -> None:
        """Tell the others that the words have been said aloud."""
        with suppress(RuntimeError):
            self.store.set(SAID, "1")

    def listen(self) -> None:
        """Wait a little until they have: whoever ends first may take the others along."""
        self._come(SAID, PATIENCE)

    def leave(self, others: int, wait: float) -> None:
        """Stay until so many others have gone, if they read from this process.

        Args:
            others: how many; 0 where someone else keeps the store.
            wait: for how many seconds at most.
        """
        late = time.monotonic() + wait
        with suppress(RuntimeError):
            self.store.add(LEFT, 1)
            while self.store.add(LEFT, 0) <= others and time.monotonic() < late:
                time.sleep(PAUSE)

    def _come(self, name: str, wait: float) -> str | None:
        """What is written under a name; torch would complain aloud if it waited in vain."""
        late = time.monotonic() + wait
        try:
            while not self.store.check([name]):
                if time.monotonic() > late:
                    return None
                time.sleep(PAUSE)
            return str(self.store.get(name).decode())
        except RuntimeError:  # whoever kept the store is gone
            return None
