"""How one of several processes joins the others, and which of them is heard.

torchrun starts them, or its own launcher from here; both tell each process by its environment who
it is. What is said of the run, one of them says.
"""

import json
import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch

from diffx_cli.line.console import hush
from diffx_cli.processes.devices import device_named
from diffx_core.engine.checkpoint import FILES, Checkpoint, Part, load_checkpoint
from diffx_core.engine.joining import together
from diffx_core.engine.manifest import NAME
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.signals import mortal
from diffx_core.engine.together import Together
from diffx_core.engine.words import Words
from diffx_core.errors import ConfigError

PARTS: tuple[Part, ...] = tuple(FILES)


def is_launched() -> bool:
    """Whether this is one of the processes that somebody has started for a run."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


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
        with ExitStack() as stack:
            with mortal():  # others may not come for a long time
                ranks = stack.enter_context(together(place))
            hush(silent=not ranks.is_first)
            yield ranks
    except BaseException as error:
        if ranks is not None:
            words = ranks.board.post(error)
            hush(silent=not _speaks(ranks, words))
            if words.rank == ranks.rank:
                _report(words)
        raise


def shared(
    ranks: Ranks, start: Checkpoint | None, parts: Collection[Part] = PARTS
) -> Checkpoint | None:
    """Where the first goes on, as every process reads it for itself.

    Args:
        ranks: the processes.
        start: where the first goes on; the others do not know yet.
        parts: which of its tensors.

    Raises:
        CheckpointError: they do not see the same.
    """
    if ranks.world == 1:
        return start
    path = ranks.told("" if start is None else str(start.path.resolve()))
    if path and not ranks.is_first:
        start = load_checkpoint(Path(path), parts)
    ranks.same("checkpoint", "" if start is None else (start.path / NAME).read_text("utf-8"))
    return start


def check_devices(name: str, processes: int) -> None:
    """Refuse processes, before they are started, that cannot have a device each.

    Args:
        name: as the user named the device.
        processes: how many.

    Raises:
        ConfigError: there is no such device here, or there are too few.
    """
    # Whoever asks for memory of an accelerator holds some of it until he ends.
    is_there = name == "cuda" and torch.cuda.is_available()
    device = torch.device(name) if is_there else device_named(name)
    if device.type == "cpu":
        return
    _require_cuda(device)
    number = torch.cuda.device_count()
    if number < processes:
        raise ConfigError(
            f"--nproc: {processes} processes need an accelerator each, of which there are {number}:"
            " take so many, or --device cpu"
        )


def _require_cuda(device: torch.device) -> None:
    if device != torch.device("cuda"):
        raise ConfigError(
            f"--device {device}: several processes need --device cpu, or an accelerator of CUDA "
            "for each of them, as --device cuda says"
        )


def _own(device: torch.device) -> torch.device:
    """The device of this process: each has an accelerator of its own."""
    if device.type == "cpu":
        return device
    _require_cuda(device)
    index, number = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if index >= number:
        raise ConfigError(f"--nproc: there are {number} accelerators for {index + 1} processes")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _speaks(ranks: Together, words: Words) -> bool:
    """Whoever failed first speaks, and one process on every other machine."""
    elsewhere = words.host != socket.gethostname() and os.environ.get("LOCAL_RANK") == "0"
    return words.rank == ranks.rank or elsewhere


def _report(words: Words) -> None:
    """Leave the words where torchrun looks for what to show at the end of its summary."""
    file, text = os.environ.get("TORCHELASTIC_ERROR_FILE"), "; ".join(words.problems)
    if file is not None:
        now = str(int(time.time()))
        message = {"message": text, "extraInfo": {"py_callstack": text, "timestamp": now}}
        with suppress(OSError):
            Path(file).write_text(json.dumps({"message": message}), encoding="utf-8")
