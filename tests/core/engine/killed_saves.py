"""A process whose children kill themselves inside a save, each a call of the system later.

    python killed_saves.py FOLDER first|next|again|averages

Child n works in FOLDER/n. The first one that lives to the end is the last.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

import torch

from diffx_core.engine.averaging.snapshots import Kept
from diffx_core.engine.saver import Saver
from diffx_core.engine.saving import Snapshot, save_checkpoint

CALLS = ("open", "write", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir")
OLD, NEW = 12, 20


def snapshot(step, mark):
    """A run at a step; every file of it has the mark."""
    marked = {"mark": torch.full((64,), float(mark))}
    return Snapshot(
        step=step,
        weights=marked,
        ema=marked,
        training=marked,
        progress={"mark": mark},
        record={"mark": mark},
    )


def die_after(calls):
    """Have this process killed in the middle of a write, or after another call."""
    left = count(calls, -1)

    def deadly(name, call):
        def called(*arguments, **options):
            last = next(left) == 0
            if last and name == "write":
                arguments = arguments[0], arguments[1][: len(arguments[1]) // 2]
            try:
                return call(*arguments, **options)
            finally:
                if last:
                    os.kill(os.getpid(), signal.SIGKILL)

        return called

    for name in CALLS:
        setattr(os, name, deadly(name, getattr(os, name)))


def averages(step, mark):
    """What is written down for good of a step."""
    return [
        Kept(step, width, {"mark": torch.full((64,), float(mark))}, frozenset())
        for width in (0.05, 0.1)
    ]


def save(run, step, calls, kept):
    """What a child does."""
    die_after(calls)
    saver = Saver(run, keep=1)
    saver.save(snapshot(step, 2), best=0.5, averages=kept)
    saver.finish()


def main(folder, scenario):
    """Start children until one lives."""
    for calls in count():
        run = folder / f"{calls:03d}"
        run.mkdir()
        if scenario != "first":
            save_checkpoint(run, snapshot(OLD, 1))
        child = os.fork()
        if child == 0:
            kept = averages(NEW, 2) if scenario == "averages" else ()
            save(run, OLD if scenario == "again" else NEW, calls, kept)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
