"""What a run was made with, besides its configuration."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

CORE = ("diffx-core", "diffx-cli", "torch", "torch-ema", "safetensors")


def environment(
    distributions: Iterable[str], *, device: str, argv: Sequence[str]
) -> dict[str, Any]:
    """The facts, as plain JSON types.

    Args:
        distributions: those of the chosen components.
        device: that the run uses.
        argv: the command line.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "distributions": {name: _version(name) for name in sorted({*CORE, *distributions})},
        "git": _commit(),
        "argv": list(argv),
        "executable": sys.executable,
        "device": device,
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            command, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
