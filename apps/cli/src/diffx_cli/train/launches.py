"""Whether a run is one that this very launch has begun.

A launcher that starts its processes again repeats their command line, which means then: go on. How
often it has started them does not say so: that is counted for each machine, and not for each
reason. So a run names those who launched it, and is known by any one of them who is still there.
"""

import hashlib
import json
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import torch

from diffx_cli.output.folders import AUTO, RUNS, run_folder
from diffx_core.engine.ranks import Ranks

LAUNCHED = "TORCHELASTIC_RUN_ID"
"""What torchrun sets, and so does the launcher of ours."""
FACT = "launchers"
"""Their name among the facts of a run."""


def launchers(ranks: Ranks) -> frozenset[str]:
    """The launchers of all processes, by a name that no other has; none if nobody launched them."""
    own = [] if LAUNCHED not in os.environ else [list(bytes.fromhex(_parent()))]
    rows = torch.tensor(own, dtype=torch.uint8).reshape(-1, 16)
    return frozenset(bytes(row).hex() for row in ranks.joined(rows).tolist())


def again(
    here: frozenset[str], resume: str | None, out: Path | None, *, overwrite: bool
) -> tuple[str | None, bool]:
    """What --resume and --overwrite mean: once the run of this launch has begun, it goes on.

    Args:
        here: who launched these processes.
        resume: as it was given.
        out: as it was given.
        overwrite: as it was given.
    """
    for folder in _places(resume, out):
        if here & _launchers_of(folder):
            return str(folder), False
    return resume, overwrite


def _places(resume: str | None, out: Path | None) -> Iterable[Path]:
    """Where the run of this command can be."""
    if out is not None:
        return [out]
    if resume not in (None, AUTO):
        return [run_folder(Path(str(resume)))]
    return sorted((one.parent for one in RUNS.glob("*/env.json")), reverse=True)


def _launchers_of(folder: Path) -> frozenset[str]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return frozenset(json.loads((folder / "env.json").read_text("utf-8")).get(FACT, ()))
    return frozenset()


def _parent() -> str:
    """A name for the process that started this one; its number alone comes back in time."""
    parent, began = os.getppid(), ""
    with suppress(OSError):
        began = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    text = json.dumps([os.environ[LAUNCHED], socket.gethostname(), parent, began])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
