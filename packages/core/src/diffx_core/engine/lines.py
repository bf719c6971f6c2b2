"""The connections between processes, as the system knows them.

Torch closes those of gloo when nothing holds the group any more, which an error's frames or a
network that is divided may do for ever; `abort` leaves them open. Whoever waits for a process that
has failed has to be woken up all the same.
"""

import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen
class Lines:
    """Sockets that belong to something.

    Args:
        sockets: their numbers, each with what the system calls it.
    """

    sockets: dict[int, int]

    @classmethod
    def of(cls, work: Callable[[], T]) -> tuple[T, Self]:
        """What some work gives, and the sockets that it has opened."""
        before = open_sockets()
        made = work()
        after = open_sockets()
        return made, cls({one: name for one, name in after.items() if before.get(one) != name})

    def cut(self) -> None:
        """End them for both sides; those that have been closed since stay as they are."""
        there = open_sockets()
        for number, name in self.sockets.items():
            if there.get(number) == name:
                with suppress(OSError), socket.socket(fileno=os.dup(number)) as line:
                    line.getpeername()  # one that listens has none, and gloo needs it
                    line.shutdown(socket.SHUT_RDWR)


def open_sockets() -> dict[int, int]:
    """The sockets of this process: their numbers, and the system's."""
    found = {}
    for number in map(int, (one.name for one in Path("/dev/fd").iterdir())):
        with suppress(OSError):  # the folder itself was open while it was read
            about = os.fstat(number)
            if stat.S_ISSOCK(about.st_mode):
                found[number] = about.st_ino
    return found
