"""Several processes for one run: how they are started, and how each of them joins the others.

torchrun starts them, or its own launcher from here; both tell each process by its environment who
it is. What is said of the run, one of them says.
"""

import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from diffx_cli.console import hush
from diffx_cli.devices import device_named
from diffx_cli.folders import AUTO, run_folder
from diffx_core.engine.checkpoint import Checkpoint, load_checkpoint
from diffx_core.engine.manifest import NAME
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.together import Together, together
from diffx_core.engine.words import Words
from diffx_core.errors import ConfigError, StoppedError

ATTEMPT = "TORCHELASTIC_RESTART_COUNT"
MESSAGES = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Torch complains of every connection that closes; what happened is said in a line of our own."""


def is_launched() -> bool:
    """Whether this is one of the processes that somebody has started for a run."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


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
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
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


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The processes of this run, as its environment names them; this one alone if it names none.

    Only the first of them is heard; if one fails, only that one.

    Args:
        device: as the user named it.
    """
    if not is_launched() or os.environ["WORLD_SIZE"] == "1":
        yield Ranks()
        return
    place = _own(device_named(device))
    ranks: Together | None = None
    try:
        with together(place) as ranks:
            hush(silent=not ranks.is_first)
            yield ranks
    except BaseException as error:
        if ranks is not None:
            hush(silent=not _speaks(ranks, ranks.board.post(error)))
        raise


def shared(ranks: Ranks, start: Checkpoint | None) -> Checkpoint | None:
    """Where the first goes on, as every process reads it for itself.

    Args:
        ranks: the processes.
        start: where the first goes on; the others do not know yet.

    Raises:
        CheckpointError: they do not see the same.
    """
    if ranks.world == 1:
        return start
    path = ranks.told("" if start is None else str(start.path.resolve()))
    if path and not ranks.is_first:
        start = load_checkpoint(Path(path))
    ranks.same("checkpoint", "" if start is None else (start.path / NAME).read_text("utf-8"))
    return start


def again(resume: str | None, out: Path | None, *, overwrite: bool) -> tuple[str | None, bool]:
    """What --resume and --overwrite mean: a launcher that starts us again repeats them.

    Args:
        resume: as it was given.
        out: as it was given.
        overwrite: as it was given.
    """
    if int(os.environ.get(ATTEMPT, "0")) == 0:
        return resume, overwrite
    if resume not in (None, AUTO):
        return str(run_folder(Path(str(resume)))), False
    return (AUTO if out is None else resume), False


def _own(device: torch.device) -> torch.device:
    """The device of this process: each has an accelerator of its own."""
    if device.type == "cpu":
        return device
    if device != torch.device("cuda"):
        raise ConfigError(
            f"--device {device}: several processes need --device cpu, or an accelerator of CUDA "
            "for each of them, as --device cuda says"
        )
    index, number = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if index >= number:
        raise ConfigError(f"--nproc: there are {number} accelerators for {index + 1} processes")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _speaks(ranks: Together, words: Words) -> bool:
    """Whoever failed first speaks, and one process on every other machine."""
    elsewhere = words.host != socket.gethostname() and os.environ.get("LOCAL_RANK") == "0"
    return words.rank == ranks.rank or elsewhere


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
