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
PATIENCE = 3.0
"""Seconds to wait for the words of a process whose connections are closed already."""
PAUSE = 0.02
FIRST, LEFT = "first", "left"


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
        world: how many there are.
        store: what all of them can read and write.
        lasts: whether the store outlives the processes; otherwise it ends with the first of them.
        words: those that were first, once they are known.
    """

    rank: int
    world: int
    store: Store
    lasts: bool
    words: Words | None = None

    def post(self, error: BaseException) -> Words:
        """Leave words; returns those that were there first, which may be others'."""
        own = Words.of(self.rank, error)
        if self.words is None:
            try:
                self.words = Words.read(self.store.compare_set(FIRST, "", own.written()).decode())
            except RuntimeError:  # whoever kept the store is gone
                self.words = own
        return self.words

    def first(self, wait: float = PATIENCE) -> Words | None:
        """The words that came first; None if nobody has left any in so many seconds."""
        if self.words is None and self._come(FIRST, wait):
            with suppress(RuntimeError):
                self.words = Words.read(self.store.get(FIRST).decode())
        return self.words

    def leave(self, wait: float) -> None:
        """Go, but not before whoever depends on it.

        Args:
            wait: seconds to stay at most.
        """
        with suppress(RuntimeError):
            self.store.set(f"{LEFT}/{self.rank}", "1")
        if self.lasts:
            # a launcher ends all as soon as one has ended, also one that has not spoken yet
            speaker = self.rank if self.words is None else self.words.rank
            self._come(f"{LEFT}/{speaker}", wait)
        elif self.rank == 0:
            late = time.monotonic() + wait
            for rank in range(1, self.world):
                self._come(f"{LEFT}/{rank}", late - time.monotonic())

    def _come(self, name: str, wait: float) -> bool:
        """Whether something is written under a name, within so many seconds.

        If torch waited in vain, it would complain aloud.
        """
        late = time.monotonic() + wait
        try:
            while not self.store.check([name]):
                if time.monotonic() > late:
                    return False
                time.sleep(PAUSE)
        except RuntimeError:
            return False
        return True
