"""The program in one of several processes, to which something happens at some moment."""

import contextlib
import io
import os
import signal
from itertools import count

from diffx_cli.__main__ import main
from diffx_cli.processes import joining
from diffx_cli.train import previews
from diffx_core.engine import writing
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.together import Together
from diffx_core.engine.update import Update
from diffx_core.engine.validation import Validation
from diffx_core.errors import CheckpointError

MOMENTS = {
    "step": (Update, "__call__"),
    "look": (Validation, "__call__"),
    "preview": (previews, "to_bytes"),
    "agreement": (Together, "agree"),
    "save": (writing, "save_checkpoint"),
}


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def fail():
    raise RuntimeError("no such product")


def fill():
    cause = OSError(28, "No space left on device")
    raise CheckpointError("cannot write here: No space left on device") from cause


def run(arguments, folder, rank, moment, happen, first=0):
    """Run the program; its exit code, and what it said.

    Args:
        arguments: of the program.
        folder: where.
        rank: to whom something happens.
        moment: when.
        happen: what.
        first: how many such moments pass before.
    """
    os.chdir(folder)
    os.environ["TORCHELASTIC_ERROR_FILE"] = f"error-{os.environ['RANK']}.json"
    if int(os.environ["RANK"]) == rank:
        owner, name = MOMENTS[moment]
        passed, work = count(), getattr(owner, name)

        def eventful(*args, **options):
            if next(passed) == first:
                happen()
            return work(*args, **options)

        setattr(owner, name, eventful)
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        code = main(arguments)
    return code, said.getvalue(), complained.getvalue()


def differ(arguments, folder):
    """Run the program with another seed in each process."""
    return run([*arguments, "--seed", os.environ["RANK"]], folder, None, None, None)


def see_another(arguments, folder, other):
    """Run the program where process 1 takes one checkpoint for another."""
    if os.environ["RANK"] == "1":
        joining.load_checkpoint = lambda _, parts: load_checkpoint(folder / other, parts)
    return run(arguments, folder, None, None, None)


def launched(by, *args, **options):
    """Run the program in a process that a launcher of that name has started."""
    os.environ["TORCHELASTIC_RUN_ID"] = by
    return run(*args, **options)
