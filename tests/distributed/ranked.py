"""Real processes that train together, and what becomes of each."""

import multiprocessing
import os
import pickle
import socket
import traceback
from contextlib import contextmanager
from datetime import timedelta

import torch
from attrs import frozen

from diffx_core.engine.joining import together
from diffx_core.errors import DiffxError

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["torch._dynamo", "diffx_cli.train.training", "diffx_core.testing", "diffx_core.engine.sharded"]
)
LATE = 240
LATE_ENOUGH = timedelta(seconds=200)
"""Seconds after which a process that has not ended hangs: on a busy machine, compilers alone take
more than one minute."""


@frozen
class End:
    """How a process ended.

    Args:
        value: what it returned.
        code: its exit code.
        text: what it failed of.
    """

    value: object
    code: int
    text: str = ""


@contextmanager
def free_port():
    """A port of this machine that nobody else is given meanwhile, where a server may listen."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def ends(world, work, *args, timeout=LATE_ENOUGH):
    """What becomes of so many processes that all do `work(ranks, *args)`.

    Without a timeout it is `work(*args)`, and they join each other by themselves.
    """
    with free_port() as port:
        common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world)}
        started = []
        for rank in range(world):
            pipe, other = SERVER.Pipe(duplex=False)
            place = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = SERVER.Process(target=_run, args=(other, place, timeout, work, args))
            process.start()
            other.close()
            started.append((process, pipe))
        return [_end(*one) for one in started]


def values(world, work, *args, timeout=LATE_ENOUGH):
    """What they return, if all goes well."""
    found = ends(world, work, *args, timeout=timeout)
    assert [one.text for one in found] == [""] * world
    return [one.value for one in found]


def _end(process, pipe):
    try:
        answered = pipe.poll(LATE)
        value, code, text = pickle.loads(pipe.recv_bytes()) if answered else (None, None, "hangs")
    except EOFError:
        process.join(LATE)
        return End(None, process.exitcode, "gone")
    process.join(LATE)
    process.kill()
    return End(value, code, text)


def _run(pipe, place, timeout, work, args):
    torch.set_num_threads(1)
    os.environ.update(place)
    try:
        if timeout is None:
            value = work(*args)
        else:
            with together(torch.device("cpu"), timeout=timeout) as ranks:
                value = work(ranks, *args)
    except DiffxError as error:
        _tell(pipe, None, error.exit_code, str(error))
    except KeyboardInterrupt:
        _tell(pipe, None, 130, "interrupted")
    except BaseException:  # noqa: BLE001 - the test shows it
        _tell(pipe, None, 1, traceback.format_exc())
    else:
        _tell(pipe, value, 0, "")


def _tell(pipe, *end):
    pipe.send_bytes(pickle.dumps(end))  # as torch sends tensors, they would end with this process
