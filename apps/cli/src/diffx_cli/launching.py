"""Several processes for one run, started by torchrun's own launcher."""

import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Mapping
from typing import Any

from diffx_core.errors import StoppedError

MESSAGES = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Torch complains of every connection that closes; what happened is said in a line of our own."""

HERE = "127.0.0.1"
"""Where they find each other: a machine need not be able to look up its own name."""
LOOPS = ("lo", "lo0")
"""What systems call the way from a machine to itself."""


def launch(processes: int, restarts: int = 0) -> None:
    """Run this program's command line in several processes, by torchrun's own launcher.

    Args:
        processes: how many.
        restarts: how often all of them are started again after one has failed.

    Raises:
        StoppedError: one of them has failed, or a signal has ended them; they said it themselves.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    for name, value in MESSAGES.items():
        os.environ.setdefault(name, value)
    if loops := [name for _, name in socket.if_nameindex() if name in LOOPS]:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loops[0])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint=f"{HERE}:0",
        local_addr=HERE,
        max_restarts=restarts,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        signals_to_handle="SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1",
    )
    try:
        elastic_launch(config, sys.executable)("-P", "-m", "diffx_cli", *sys.argv[1:])
    except ChildFailedError as error:
        raise _failed(error.failures) from error
    except SignalException as error:
        interrupted = error.sigval == signal.SIGINT
        raise StoppedError(code=128 + (signal.SIGINT if interrupted else signal.SIGTERM)) from error


def _failed(failures: Mapping[int, Any]) -> StoppedError:
    """What to end with: as the process that was killed from outside, or that failed first."""
    asked = (-signal.SIGTERM, -signal.SIGINT)
    for rank, failure in failures.items():
        if failure.exitcode < 0 and failure.exitcode not in asked:
            name = signal.Signals(-failure.exitcode).name
            return StoppedError(
                f"process {rank} was ended by {name}; --resume goes on from the newest checkpoint",
                code=128 - failure.exitcode,
            )
    code = min(failures.values(), key=lambda one: float(one.timestamp)).exitcode
    return StoppedError(code=128 - code if code < 0 else code)
