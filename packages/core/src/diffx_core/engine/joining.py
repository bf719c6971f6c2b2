"""How processes come together, and part: all at the end, or at once when one of them fails.

One that fails closes its connections, which wakes up those that wait for it. They find out why from
what it has written down, so that all end with the same error.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore  # type: ignore[attr-defined] # public all the same
from torch.distributed.rendezvous import rendezvous

from diffx_core.engine.lines import Lines
from diffx_core.engine.meeting import meeting
from diffx_core.engine.together import Together
from diffx_core.engine.words import Board
from diffx_core.errors import DiffxError

PATIENCE = timedelta(minutes=30)
"""How long one process waits for another: longer than it takes to write a checkpoint."""
PATIENT, BRIEF = 5.0, 1.0
"""Seconds for others to read why this process fails."""


@contextmanager
def together(device: torch.device, *, timeout: timedelta = PATIENCE) -> Iterator[Together]:
    """Join the other processes that the environment names, as torchrun sets it.

    All leave together. If one fails, each of them raises its error; the others name it.

    Args:
        device: where this process computes.
        timeout: how long they wait for each other at most.

    Raises:
        DiffxError: the others cannot be found, or one of them has ended.
    """
    ranks = _joined(device, timeout)
    try:
        yield ranks
        ranks.wait()
    except BaseException as error:
        found = ranks.reason(error)
        ranks.board.post(found)
        _let_go(ranks)
        # those that noticed by themselves that somebody is gone are about to read, or are gone
        ranks.board.leave(PATIENT if found is error else BRIEF)
        if found is error:
            raise
        raise found from error
    else:
        dist.destroy_process_group()


def _let_go(ranks: Together) -> None:
    """Close the connections, which wakes up whoever waits for this process."""
    with suppress(RuntimeError):
        if ranks.device.type == "cuda":
            ranks.groups[0].abort()
        ranks.lines.cut()
        dist.destroy_process_group()


def _joined(device: torch.device, timeout: timedelta) -> Together:
    try:
        store, rank, world = next(rendezvous("env://", timeout=timeout))
        store = PrefixStore(meeting(store, rank, world, timeout), store)
        groups, lines = Lines.of(partial(_groups, store, rank, world, device, timeout))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:500]
        raise DiffxError(f"the processes of this run do not find each other: {reason}") from error
    lasts = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    board = Board(rank, world, PrefixStore("words", store), lasts)
    return Together(rank, world, device=device, groups=groups, board=board, lines=lines)


def _groups(
    store: PrefixStore, rank: int, world: int, device: torch.device, timeout: timedelta
) -> list[Any]:
    """All processes, connected: by what their device has, and last by gloo."""
    accelerated = device.type == "cuda"
    dist.init_process_group(
        "nccl" if accelerated else "gloo",
        store=PrefixStore("group", store),
        rank=rank,
        world_size=world,
        timeout=timeout,
        device_id=device if accelerated else None,
    )
    groups: list[Any] = [dist.group.WORLD]
    if accelerated:
        groups.append(dist.new_group(backend="gloo", timeout=timeout))
    dist.barrier(group=groups[-1])  # connections may be made when they are first needed
    return groups
