"""The batches of a run, read ahead of time by worker processes where that takes work.

A batch is a pure function of the seed and the step, so it is the same whoever reads it. A worker
that fails, or that the system kills, ends the run with its reason.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

import torch
from attrs import frozen
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as ReadByKey

from diffx_core.dataset import Batch, Dataset, Read
from diffx_core.engine.order import DataOrder
from diffx_core.errors import ComponentError, DataError

MOST_WORKERS = 8
"""How many there are unless told otherwise: more than that seldom read faster."""
AHEAD = 2
"""Batches that each worker keeps ready."""
WORKER = "DataLoader worker"
"""How torch begins what it says about a worker that has died."""
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
class Reader(ReadByKey[Batch | Failure]):
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
        except Exception as error:  # noqa: BLE001 - raised again by whoever asked for the batch
            return Failure((f"{type(error).__name__} in a worker: {error}",), is_data=False)
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
        workers: how many processes read data that are streamed; by default one for each processor.

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
    batches = _from_workers(reader, steps, device, number)
    try:
        yield (finish(batch).to(device) for batch in batches)
    except RuntimeError as error:
        # torch's handler of signals raises it wherever the program is, in the middle of a step too
        if not str(error).startswith(WORKER):
            raise
        reason, *_ = str(error).splitlines()
        raise DataError(
            f"a worker that reads data has died ({reason}); memory may have run out: fewer"
            " --train.workers need less, and 0 reads without any"
        ) from error
    finally:
        batches.close()


def _from_workers(
    reader: Reader, steps: range, device: torch.device, workers: int
) -> Generator[Batch]:
    pinned = device.type == "cuda"
    loader = DataLoader(
        reader,
        batch_size=None,  # a step is a batch
        sampler=steps,
        num_workers=workers,
        prefetch_factor=AHEAD,
        pin_memory=pinned,
        generator=torch.Generator(),  # else the global one is advanced
    )
    batches = iter(loader)
    try:
        for found in batches:
            if isinstance(found, Failure):
                raise found.error()
            yield found.to(device, non_blocking=pinned)
    except (ConnectionError, EOFError) as error:
        raise RuntimeError(f"{WORKER} has gone with a batch: {error}") from error
    finally:
        # while torch watches a worker that has died, it may raise once more, wherever that is
        with suppress(RuntimeError):
            batches._shutdown_workers()  # type: ignore[attr-defined] # noqa: SLF001 - as above


def _workers(wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    return min(MOST_WORKERS, os.cpu_count() or 1)
