"""A process whose children train and are killed inside their saves, each some calls later.

    python killed_training.py FOLDER EVERY

Child n is killed after call n * EVERY of the system that a save of its makes, the next one is given
the same command. Both work in FOLDER/n. The last one is the first that nothing kills.
"""

import contextlib
import io
import os
import signal
import sys
import threading
from itertools import count
from pathlib import Path

import torch
import torch._dynamo  # optimizers import it; children shall not, one after the other

from diffx_cli.__main__ import main as diffx

CALLS = ("open", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir")
COMMAND = [
    *("train", "--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"),
    *("--train.batch-size", "16", "--train.steps", "4", "--save.every", "2", "--save.keep", "1"),
    *("--train.log-every", "1", "--device", "cpu", "--out", "run"),
]


def die_in_a_save(calls):
    """Have this process killed in a call of the system that a thread makes which saves."""
    left = count(calls, -1)

    def deadly(call):
        def called(*arguments, **options):
            saving = threading.current_thread().name == "diffx-save"
            try:
                return call(*arguments, **options)
            finally:
                if saving and next(left) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return called

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))


def train(folder, output, calls=None):
    """Train in a child; returns how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.chdir(folder)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if calls is not None:
        die_in_a_save(calls)
    code = diffx(COMMAND)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(folder, every):
    """Kill one child after the other, and have each go on."""
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        diffx([*COMMAND, "--dry-run"])  # for its imports
    for n in count():
        run = folder / f"{n:03d}"
        run.mkdir()
        ended = train(run, "first.txt", n * every)
        if ended != -signal.SIGKILL:
            sys.exit(ended)
        ended = train(run, "second.txt")
        if ended:
            sys.exit(f"{run}: the second ended with {ended}: {(run / 'second.txt').read_text()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
