"""Several processes for one run, started by torchrun's own launcher."""

import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from diffx_cli.line.console import counted, note
from diffx_cli.processes.joining import check_devices, is_launched
from diffx_cli.train.launches import LAUNCHED
from diffx_core.engine.signals import heard
from diffx_core.errors import ConfigError, NonFiniteError, StoppedError

if TYPE_CHECKING:
    from torch.distributed.launcher.api import LaunchConfig

MESSAGES = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Torch complains of every connection that closes; what happened is said in a line of our own."""

HERE = "127.0.0.1"
"""Where they find each other: a machine need not be able to look up its own name."""
OURS = "DIFFX_LAUNCH"
"""What the processes that we start have in their environment, equal to torchrun's name for it."""
HOPELESS = range(ConfigError.exit_code, NonFiniteError.exit_code + 1)
"""Exit codes of what would only happen again: options, plugins, data, checkpoints, numbers."""
LOOPS = ("lo", "lo0")
"""What systems call the way from a machine to itself."""


def starts_others() -> bool:
    """Whether this process, which was told --nproc, is the one to start the others.

    Raises:
        ConfigError: somebody else has started several, or says so.
    """
    if OURS in os.environ and os.environ[OURS] == os.environ.get(LAUNCHED):
        return False
    if is_launched():
        raise ConfigError(
            "--nproc: RANK and WORLD_SIZE in the environment say that this is one of several "
            "processes already: leave out --nproc, or unset them"
        )
    return True


AGAIN = "start the same command again"
"""What to do when a process was killed."""


def launch(processes: int, device: str, restarts: int = 0, again: str = AGAIN) -> None:
    """Run this program's command line in several processes, by torchrun's own launcher.

    Args:
        processes: how many.
        device: of all of them, as the user named it.
        restarts: how often all of them are started again after one has failed.
        again: what to do when one was killed.

    Raises:
        ConfigError: they cannot have such a device, and none was started.
        StoppedError: one of them has failed, or a signal has ended them; they said it themselves.
    """
    if processes > 1:
        check_devices(device, processes)
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    for name in list(logging.root.manager.loggerDict):  # each of them has a level of its own
        if name.startswith("torch.distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    _prepare(processes)
    start = elastic_launch(_config(processes), sys.executable)
    try:
        for left in range(restarts, -1, -1):
            try:
                start("-P", "-m", "diffx_cli", *sys.argv[1:])
            except ChildFailedError as error:
                _raise_if_final(_failed(error.failures, again), left)
            else:
                return
    except SignalException as error:
        interrupted = error.sigval == signal.SIGINT
        raise StoppedError(code=128 + (signal.SIGINT if interrupted else signal.SIGTERM)) from error


def _prepare(processes: int) -> None:
    """What all of them find in their environment."""
    for name, value in MESSAGES.items():
        os.environ.setdefault(name, value)
    if loops := [name for _, name in socket.if_nameindex() if name in LOOPS]:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loops[0])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    os.environ[OURS] = str(uuid.uuid4())


def _config(processes: int) -> "LaunchConfig":
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=os.environ[OURS],
        rdzv_backend="c10d",
        rdzv_endpoint=f"{HERE}:0",
        local_addr=HERE,
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        signals_to_handle=",".join(one.name for one in heard()),
    )


def _raise_if_final(failed: StoppedError, left: int) -> None:
    """Let them be started again, unless that has happened too often, or cannot help.

    Args:
        failed: what they failed of.
        left: how often they may be started again.

    Raises:
        StoppedError: what they failed of.
    """
    if not left or failed.exit_code in HOPELESS:
        raise failed
    for line in failed.problems:
        note(line)
    note(f"all processes are started again, and may be {counted(left - 1, 'time')} more")


def _failed(failures: Mapping[int, Any], again: str) -> StoppedError:
    """What to end with: as the process that was killed from outside, or that failed first."""
    asked = (-signal.SIGTERM, -signal.SIGINT)
    for rank, failure in failures.items():
        if failure.exitcode < 0 and failure.exitcode not in asked:
            name = signal.Signals(-failure.exitcode).name
            return StoppedError(
                f"process {rank} was ended by {name}; {again}",
                code=128 - failure.exitcode,
            )
    code = min(failures.values(), key=lambda one: float(one.timestamp)).exitcode
    return StoppedError(code=128 - code if code < 0 else code)
