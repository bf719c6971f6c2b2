"""Processes that read a run's batches ahead of time, each with a pipe of its own, nothing shared.

Torch's `DataLoader` lets its workers wait at locks that they share with the run. One that the
system kills while it holds such a lock leaves the run waiting for ever. Here a worker that ends
closes its pipe, which the run hears.
"""

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from itertools import cycle
from multiprocessing import util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Generic, TypeVar

import torch
from attrs import frozen
from torch import multiprocessing

from diffx_core.engine.signals import ASKING
from diffx_core.errors import DataError, reason

T = TypeVar("T")

AHEAD = 2
"""Batches that each worker keeps ready."""
PATIENCE = 2.0
"""Seconds that a worker has to finish a batch that nobody wants any more."""
LEAVE = b"next"
"""What a worker is sent for each batch that it may read."""
WITHOUT = "--train.workers 0 reads without any"
"""What to do if nothing else helps."""


@frozen
class Unsent:
    """What a worker sends instead of a batch that it cannot send.

    Args:
        reason: why not.
    """

    reason: str


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
        pipe, end = multiprocessing.Pipe()
        process = multiprocessing.Process(
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
            DataError: the worker has died, or what it has read cannot get here.
        """
        try:
            found: T | Unsent = self.pipe.recv()
        except (OSError, EOFError) as error:
            raise self.loss(error) from error
        if isinstance(found, Unsent):
            raise DataError(f"a worker cannot send what it has read: {found.reason}; {WITHOUT}")
        self.allow(1)
        return found

    def loss(self, error: Exception) -> DataError:
        """What to say when a batch does not arrive."""
        self.process.join(PATIENCE)
        code = self.process.exitcode
        if not code:  # it is there, or has ended as it should: the fault is here
            why = reason(error)
            return DataError(f"what a worker has read cannot be received: {why}; {WITHOUT}")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return DataError(
            f"a worker that reads data has died ({how}); memory may have run out: fewer"
            f" --train.workers need less, and {WITHOUT}"
        )


def from_workers(read: Callable[[int], T], steps: Sequence[int], number: int) -> Generator[T]:
    """What `read` makes of each step, in their order, read by some processes.

    Args:
        read: called in the workers; what it gives is sent here, tensors in shared memory.
        steps: worker i answers for steps i, i + number, i + 2 number, ...
        number: of workers.

    Raises:
        DataError: a worker cannot be started, has died, or cannot send what it has read.
    """
    workers: list[Worker[T]] = []
    util.get_temp_dir()  # that of all workers, which goes when the run does
    try:
        for first in range(min(number, len(steps))):
            worker = _started(read, steps[first::number], f"{first + 1} of {number}")
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
    threading.excepthook = lambda _: None  # threads send memory; the run hears if it does not come
    torch.set_num_threads(1)
    with suppress(BrokenPipeError, ConnectionResetError, EOFError):
        for step in steps:
            pipe.recv_bytes()
            pipe.send_bytes(_packed(read, step))
        while pipe.recv_bytes():  # the memory of the last batches is had from this process
            pass


def _packed(read: Callable[[int], object], step: int) -> memoryview:
    """What is read at a step, or why it cannot be sent, as it goes through a pipe."""
    try:
        return ForkingPickler.dumps(read(step))
    except BaseException as error:  # noqa: BLE001 - the run hears of it and ends
        return ForkingPickler.dumps(Unsent(reason(error)))


def _started(read: Callable[[int], T], steps: Sequence[int], which: str) -> Worker[T]:
    try:
        return Worker.start(read, steps)
    except OSError as error:
        raise DataError(
            f"worker {which} cannot be started: {error.strerror}; fewer --train.workers may do"
        ) from error
