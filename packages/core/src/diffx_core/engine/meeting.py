"""A name for each time that processes meet.

A launcher that starts processes again keeps its store, with all that those before them wrote: where
to find processes that are gone, and why they went. So every meeting has a name of its own, under
which nobody has written before: the first process makes it up, and says who it has seen; the others
take it once they are seen themselves.
"""

import json
import time
from datetime import timedelta
from uuid import uuid4

from torch.distributed import Store  # type: ignore[attr-defined] # public all the same

from diffx_core.errors import DiffxError

PAUSE = 0.02


def meeting(store: Store, rank: int, world: int, timeout: timedelta) -> str:
    """The name of this meeting, once all are there.

    Args:
        store: what all of them can read and write.
        rank: which one this is.
        world: how many there are.
        timeout: how long to wait for the others.

    Raises:
        DiffxError: some have not come.
    """
    own, late = uuid4().hex, time.monotonic() + timeout.total_seconds()
    store.set(f"here/{rank}", own)
    while time.monotonic() < late:
        name = _called(store, own, world) if rank == 0 else _heard(store, own, rank)
        if name is not None:
            return name
        time.sleep(PAUSE)
    raise DiffxError(f"the {world} processes of this run have not come together")


def _called(store: Store, own: str, world: int) -> str | None:
    """What the first does: say who is there, until all have heard it."""
    there = [f"here/{rank}" for rank in range(world)]
    if not store.check(there):
        return None
    store.set("meeting", json.dumps([own, [store.get(one).decode() for one in there]]))
    return own if store.check([f"heard/{own}/{rank}" for rank in range(1, world)]) else None


def _heard(store: Store, own: str, rank: int) -> str | None:
    """What the others do: wait until they are named."""
    if not store.check(["meeting"]):
        return None
    name, there = json.loads(store.get("meeting").decode())
    if own not in there:
        return None  # that was another meeting
    store.set(f"heard/{name}/{rank}", "1")
    return str(name)
