"""Batches are the same whoever reads them, and a worker that fails is heard."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Timer
from time import sleep

import pytest
import torch
from attrs import frozen

from diffx_core import Batch, ComponentError, Condition, DataError, Dataset, DataSpec
from diffx_core.engine.order import DataOrder
from diffx_core.engine.reading import Reader, read_ahead
from diffx_core.engine.signals import ASKING
from diffx_core.engine.workers import Worker

CPU = torch.device("cpu")


class MuteError(Exception):
    def __str__(self):
        raise ValueError("even this goes wrong")


@frozen(kw_only=True)
class Counted(Dataset):
    """Numbers that training sees moved by seed and step, and a way to go wrong at the 20th."""

    harm: str = ""
    streams: bool = True
    spec = DataSpec((1,), num_classes=3)

    def __len__(self):
        return 50

    def batch(self, index):
        if 20 in index.tolist():
            self.fail()
        return Batch(x=index[:, None].float(), cond=Condition(label=index % 3), index=index)

    def augmented(self, index, *, seed, step):
        batch = self.batch(index)
        batch.x.add_(1000 * seed + 100 * step)
        return batch

    def fail(self):
        match self.harm:
            case "data":
                raise DataError("photo.png: is cut off", "photo2.png: too")
            case "code":
                raise KeyError("photo")
            case "memory":
                raise MemoryError
            case "exit":
                sys.exit(3)
            case "mute":
                raise MuteError
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)


def read(data, *, workers, first=0, steps=9):
    order = DataOrder(len(data), 8, seed=1)
    steps = range(first, steps)
    with read_ahead(data, order, steps, seed=3, device=CPU, workers=workers) as batches:
        return [(batch.x, batch.cond.label, batch.index) for batch in batches]


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) for first, second in zip(one, other, strict=True)
        for a, b in zip(first, second, strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, None])
def test_batches_do_not_depend_on_the_workers(workers):
    assert same(read(Counted(), workers=workers), read(Counted(), workers=0))


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_can_begin_at_any_step(workers):
    assert same(read(Counted(), workers=workers, first=4), read(Counted(), workers=0)[4:])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_arrive_on_the_device(workers):
    order, device = DataOrder(50, 8, seed=1), torch.device("cuda")
    with read_ahead(Counted(), order, range(9), seed=3, device=device, workers=workers) as batches:
        there = [batch.to("cpu") for batch in batches if batch.x.is_cuda]
    found = [(batch.x, batch.cond.label, batch.index) for batch in there]
    assert same(found, read(Counted(), workers=0))


class Process(Counted):
    def augmented(self, index, *, seed, step):
        return Batch(x=torch.full((len(index), 1), float(os.getpid())))


@pytest.mark.parametrize(("streams", "workers", "others"), [(True, 2, 2), (False, 2, 0)])
def test_only_streamed_data_get_workers(streams, workers, others):
    data, order = Process(streams=streams), DataOrder(50, 8)
    with read_ahead(data, order, range(6), seed=0, device=CPU, workers=workers) as batches:
        readers = {int(batch.x[0]) for batch in batches}
    assert len(readers - {os.getpid()}) == others


def test_processes_of_one_launcher_share_the_processors(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with read_ahead(Process(), DataOrder(50, 8), range(6), seed=0, device=CPU) as batches:
        assert len({int(batch.x[0]) for batch in batches}) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_data_end_the_run_with_their_own_lines(workers):
    with pytest.raises(DataError) as caught:
        read(Counted(harm="data"), workers=workers)
    assert caught.value.problems == ("photo.png: is cut off", "photo2.png: too")


def test_a_dataset_that_fails_in_a_worker_is_named():
    with pytest.raises(ComponentError, match="dataset: in a worker: KeyError: 'photo'"):
        read(Counted(harm="code"), workers=2)


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        ("memory", DataError, "no memory left for a batch: fewer --train.workers.*MemoryError"),
        ("mute", ComponentError, "dataset: in a worker: MuteError$"),
        ("exit", DataError, r"send what it has read: it called sys.exit\(3\); --train.workers 0"),
    ],
)
def test_whatever_goes_wrong_in_a_worker_is_told_in_a_line(capfd, harm, error, message):
    with pytest.raises(error, match=message) as caught:
        read(Counted(harm=harm), workers=2)
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr().err == ""


def test_a_batch_that_cannot_be_sent_is_told_in_a_line(capfd):
    class Odd(Counted):
        def augmented(self, index, *, seed, step):
            return Batch(self.batch(index).x, captions=[lambda: 0] * len(index))

    with pytest.raises(DataError, match=r"send what it has read: \w*Error: .*lambda.*; --train"):
        read(Odd(), workers=2)
    assert capfd.readouterr().err == ""


def test_workers_that_cannot_be_started_are_told_in_a_line(monkeypatch):
    started = []
    start = Worker.start.__func__

    def some(kind, *args):
        if len(started) == 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        started.append(start(kind, *args))
        return started[-1]

    monkeypatch.setattr(Worker, "start", classmethod(some))
    with pytest.raises(DataError, match="worker 3 of 4 cannot be started: Too many open"):
        read(Counted(), workers=4)
    for one in started:
        with pytest.raises(ValueError, match="process object is closed"):
            one.process.is_alive()


def test_what_cannot_be_received_is_not_blamed_on_memory(monkeypatch):
    def recv(self):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Connection, "recv", recv)
    with pytest.raises(DataError, match=r"cannot be received: OSError: .*Too many open files"):
        read(Counted(), workers=1)


def test_workers_leave_nothing_behind():
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from test_reading import Counted, read
read(Counted(), workers=2)
"""
    home = str(Path(__file__).parent)
    short = tempfile.mkdtemp()  # a path of a socket may have 100 characters
    subprocess.run(
        [sys.executable, "-c", program, home], check=True, env={**os.environ, "TMPDIR": short}
    )
    Path(short).rmdir()


def test_a_worker_that_is_killed_ends_the_run_with_a_remedy():
    with pytest.raises(DataError, match=r"has died \(signal SIGKILL\).*--train\.workers") as caught:
        read(Counted(harm="kill"), workers=2)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("after", [0.0, 0.001, 0.01, 0.05])
def test_a_worker_that_is_killed_at_any_time_ends_the_run(after):
    def run():
        order, steps = DataOrder(50, 8), range(10**6)
        with read_ahead(Process(), order, steps, seed=0, device=CPU, workers=2) as batches:
            worker = int(next(batches).x[0])
            Timer(after, os.kill, (worker, signal.SIGKILL)).start()
            for _ in batches:
                pass

    with pytest.raises(DataError, match="has died"):
        run()


def test_signals_that_a_launcher_sends_to_all_are_left_to_the_run():
    with read_ahead(Process(), DataOrder(50, 8), range(9), seed=0, device=CPU, workers=1) as found:
        worker = int(next(found).x[0])
        for one in ASKING:
            os.kill(worker, one)
        assert [int(batch.x[0]) for batch in found] == [worker] * 8


def test_workers_end_with_the_run():
    with read_ahead(Process(), DataOrder(50, 8), range(99), seed=0, device=CPU, workers=2) as found:
        readers = {int(next(found).x[0]) for _ in range(2)}
    assert len(readers) == 2
    for reader in readers:
        with pytest.raises(ProcessLookupError):
            os.kill(reader, 0)


def test_workers_end_with_a_run_that_is_killed(tmp_path):
    run = multiprocessing.get_context("fork").Process(target=forsaken, args=(tmp_path / "readers",))
    run.start()
    run.join()
    readers = [int(line) for line in (tmp_path / "readers").read_text().split()]
    assert len(readers) == 3
    assert all(ended(reader) for reader in readers)


def forsaken(path):
    order = DataOrder(50, 8)
    with read_ahead(Process(), order, range(99), seed=0, device=CPU, workers=3) as found:
        path.write_text(" ".join(str(int(next(found).x[0])) for _ in range(3)))
        os.kill(os.getpid(), signal.SIGKILL)


def ended(process):
    for _ in range(2000):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        sleep(0.005)
    return False


def test_a_worker_that_is_busy_does_not_hold_up_the_end():
    class Slow(Process):
        def augmented(self, index, *, seed, step):
            if step > 1:
                signal.pause()
            return super().augmented(index, seed=seed, step=step)

    with read_ahead(Slow(), DataOrder(50, 8), range(9), seed=0, device=CPU, workers=2) as found:
        next(found)


def test_a_worker_without_shared_memory_says_so(monkeypatch):
    def full(_):
        raise RuntimeError("unable to allocate shared memory: No space left on device")

    reader = Reader(Counted().augmented, DataOrder(50, 8), 0)
    assert reader[0].x.is_shared()
    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(DataError, match=r"enlarge /dev/shm, or .*workers 0 \(unable to allocate"):
        raise reader[0].error()


def test_other_errors_of_a_step_are_left_as_they_are():
    order = DataOrder(50, 8, seed=1)
    with (
        pytest.raises(RuntimeError, match="of the network"),
        read_ahead(Counted(), order, range(6), seed=0, device=CPU, workers=1),
    ):
        raise RuntimeError("of the network")


def test_global_random_numbers_are_left_alone():
    before = torch.get_rng_state()
    read(Counted(), workers=1, steps=2)
    assert torch.equal(torch.get_rng_state(), before)
