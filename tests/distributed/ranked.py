"""Real processes that train together, and what becomes of each."""

import multiprocessing
import os
import pickle
import socket
import traceback
from datetime import timedelta

import torch
from attrs import frozen

from diffx_core.engine.together import together
from diffx_core.errors import DiffxError

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch._dynamo", "diffx_core.engine.together", "diffx_core.testing"])
LATE = 60
"""Seconds after which a process that has not ended has failed its test."""


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


def ends(world, work, *args, timeout=timedelta(seconds=50)):
    """What becomes of so many processes that all do `work(ranks, *args)`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(world):
        pipe, other = SERVER.Pipe(duplex=False)
        process = SERVER.Process(target=_run, args=(other, rank, world, port, timeout, work, args))
        process.start()
        other.close()
        started.append((process, pipe))
    return [_end(*one) for one in started]


def values(world, work, *args):
    """What they return, if all goes well."""
    found = ends(world, work, *args)
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


def _run(pipe, rank, world, port, timeout, work, args):
    torch.set_num_threads(1)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank, "WORLD_SIZE": world}
    os.environ.update({name: str(value) for name, value in place.items()})
    try:
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
