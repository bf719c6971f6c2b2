"""The batches of a run, read ahead of time by worker processes where that takes work.

A batch is a pure function of the seed and the step, so it is the same whoever reads it. A worker
that fails, or that the system kills, ends the run with its reason.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from attrs import frozen

from diffx_core.dataset import Batch, Dataset, Read
from diffx_core.engine.order import DataOrder
from diffx_core.engine.workers import from_workers
from diffx_core.errors import ComponentError, DataError, reason

MOST_WORKERS = 8
"""How many there are unless told otherwise: more than that seldom read faster."""
NO_MEMORY = "a worker has no memory left for a batch: fewer --train.workers need less"
NO_ROOM = (
    "a worker has no shared memory left for a batch: enlarge /dev/shm, or read without workers by"
    " --train.workers 0"
)


@frozen
class Failure:
    """Why a worker could not read a batch.

    Args:
        problems: one line for each thing that is wrong.
        is_data: whether the data are to blame, not the code that reads them.
    """

    problems: tuple[str, ...]
    is_data: bool

    def error(self) -> DataError | ComponentError:
        """What to raise about it."""
        if self.is_data:
            return DataError(*self.problems)
        return ComponentError("dataset", *self.problems)


@frozen(eq=False)
class Reader:
    """What training sees, by step.

    Args:
        read: reads the examples.
        order: which examples a step sees.
        seed: of their augmentation.
    """

    read: Read
    order: DataOrder
    seed: int

    def batch(self, step: int) -> Batch:
        """The examples of a step."""
        return self.read(self.order.indices(step), seed=self.seed, step=step)

    def __getitem__(self, step: int) -> Batch | Failure:
        # an error that crosses processes as torch sends it is a traceback of many lines
        try:
            batch = self.batch(step)
        except DataError as error:
            return Failure(error.problems, is_data=True)
        except MemoryError as error:
            return Failure((f"{NO_MEMORY} ({reason(error)})",), is_data=True)
        except Exception as error:  # noqa: BLE001 - raised again by whoever asked for the batch
            return Failure((f"in a worker: {reason(error)}",), is_data=False)
        try:
            return batch.share_memory()  # torch would do it later, where an error is lost
        except RuntimeError as error:
            return Failure((f"{NO_ROOM} ({error})",), is_data=True)


@contextmanager
def read_ahead(
    data: Dataset,
    order: DataOrder,
    steps: range,
    *,
    seed: int,
    device: torch.device,
    workers: int | None = None,
) -> Iterator[Iterator[Batch]]:
    """The batches of some steps in their order, on a device.

    Args:
        data: what is read.
        order: which examples a step sees.
        steps: which steps.
        seed: of the augmentation.
        device: where the batches are wanted.
        workers: how many processes read data that are streamed; by default one for each processor,
            up to 8, shared among the processes that train on this machine.

    Raises:
        DataError: a worker could not read a batch, or has died.
        ComponentError: the dataset fails in any other way.
    """
    read, finish = data.in_two()
    reader = Reader(read, order, seed)
    number = _workers(workers) if data.streams else 0
    if not number:
        yield (finish(reader.batch(step).to(device)).to(device) for step in steps)
        return
    batches = from_workers(reader.__getitem__, steps, number)
    try:
        yield (finish(batch).to(device) for batch in _arriving(batches, device))
    finally:
        batches.close()


def _arriving(found: Iterator[Batch | Failure], device: torch.device) -> Iterator[Batch]:
    pinned = device.type == "cuda"
    for batch in found:
        if isinstance(batch, Failure):
            raise batch.error()
        yield (batch.pin_memory() if pinned else batch).to(device, non_blocking=pinned)


def _workers(wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # the processes of a launcher here
    return min(MOST_WORKERS, max(1, (os.cpu_count() or 1) // beside))
