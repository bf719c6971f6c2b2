"""Processes that read a run's batches ahead of time, each with a pipe of its own, nothing shared.

Torch's `DataLoader` lets its workers wait at locks that they share with the run. One that the
system kills while it holds such a lock leaves the run waiting for ever. Here a worker that ends
closes its pipe, which the run hears.
"""

import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from itertools import cycle
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

import torch
from attrs import frozen
from torch import multiprocessing

from diffx_core.engine.signals import ASKING
from diffx_core.errors import DataError

T = TypeVar("T")

AHEAD = 2
"""Batches that each worker keeps ready."""
PATIENCE = 2.0
"""Seconds that a worker has to finish a batch that nobody wants any more."""
LEAVE = b"next"
"""What a worker is sent for each batch that it may read."""


@frozen(eq=False)
class Worker(Generic[T]):
    """A process that answers for some steps, in their order.

    Args:
        process: reads.
        pipe: what it has read comes through it.
    """

    process: BaseProcess
    pipe: Connection

    @classmethod
    def start(cls, read: Callable[[int], T], steps: Sequence[int]) -> "Worker[T]":
        """Begin to read."""
        context: BaseContext = multiprocessing.get_context()
        pipe, end = context.Pipe()
        process = context.Process(  # type: ignore[attr-defined] # a context of one kind has it
            target=_work, args=(read, steps, pipe, end), name="diffx reader", daemon=True
        )
        process.start()
        end.close()  # else the pipe would outlive the worker
        worker = cls(process, pipe)
        worker.allow(AHEAD)
        return worker

    def allow(self, batches: int) -> None:
        """Let it read that many more."""
        with suppress(OSError):  # it is gone; what it sent before is still to be had
            for _ in range(batches):
                self.pipe.send_bytes(LEAVE)

    def take(self) -> T:
        """The next batch.

        Raises:
            DataError: the worker has died.
        """
        try:
            found: T = self.pipe.recv()
        except (OSError, EOFError) as error:
            raise self.obituary() from error
        self.allow(1)
        return found

    def obituary(self) -> DataError:
        """What to say of a worker that has died."""
        self.process.join(PATIENCE)
        code = self.process.exitcode or 0
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return DataError(
            f"a worker that reads data has died ({reason}); memory may have run out: fewer"
            " --train.workers need less, and 0 reads without any"
        )


def from_workers(read: Callable[[int], T], steps: Sequence[int], number: int) -> Generator[T]:
    """What `read` makes of each step, in their order, read by some processes.

    Args:
        read: called in the workers; what it gives is sent here, tensors in shared memory.
        steps: worker i answers for steps i, i + number, i + 2 number, ...
        number: of workers.

    Raises:
        DataError: a worker has died.
    """
    workers: list[Worker[T]] = []
    try:
        for first in range(min(number, len(steps))):
            worker = Worker.start(read, steps[first::number])
            workers.append(worker)  # now, so that it is ended if the next one cannot be started
        for worker, _ in zip(cycle(workers), steps, strict=False):
            yield worker.take()
    finally:
        _end(workers)


def _end(workers: Sequence[Worker[T]]) -> None:
    for worker in workers:
        worker.pipe.close()
    late = time.monotonic() + PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, late - time.monotonic()))
        worker.process.kill()
        worker.process.join()
        worker.process.close()


def _work(
    read: Callable[[int], object], steps: Iterable[int], other: Connection, pipe: Connection
) -> None:
    """What a worker does: read where it may, until the pipe closes."""
    other.close()  # a forked worker has it too, and would not see the run end
    # the run decides when its workers end, and its own handlers are not theirs
    # (launchers send their signals to whole groups of processes)
    for one in ASKING:
        signal.signal(one, signal.SIG_IGN)
    torch.set_num_threads(1)
    with suppress(OSError, EOFError):
        for step in steps:
            pipe.recv_bytes()
            pipe.send(read(step))
        while pipe.recv_bytes():  # the memory of the last batches is had from this process
            pass
    os._exit(0)  # what the run prints and saves at its end is not a worker's to do
