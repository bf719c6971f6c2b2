"""What a run was made with, besides its configuration."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from diffx_cli.output.secret import without_secrets
from diffx_core.plugins.discovery import discover

CORE = ("diffx-core", "diffx-cli", "torch", "torch-ema", "safetensors", "numpy")


def environment(
    distributions: Iterable[str], *, device: str, argv: Sequence[str]
) -> dict[str, Any]:
    """The facts, as plain JSON types.

    Args:
        distributions: those of the chosen components.
        device: that the run uses.
        argv: the command line; its passwords are left out.
    """
    plugins = {one.distribution: one.version for one in discover()}
    names = sorted({*CORE, *distributions} - {*plugins})
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "distributions": {**{name: _version(name) for name in names}, **plugins},
        "git": _commit(),
        "argv": [without_secrets(one) for one in argv],
        "working_folder": str(Path.cwd()),
        "executable": sys.executable,
        "device": _device(device),
        "torch": _torch(),
        "threads": _threads(),
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any] | None:
    """The commit of the working folder, and whether tracked files differ from it."""
    command = ("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    said = _said(*command)
    if said is None:
        return None
    return {"commit": said.removesuffix("-dirty"), "dirty": said.endswith("-dirty")}


def _device(name: str) -> dict[str, Any]:
    import torch

    device = torch.device(name)
    facts: dict[str, Any] = {"name": name, "model": None, "memory": None, "driver": None}
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        driver = _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        facts["model"], facts["memory"] = found.name, found.total_memory
        facts["driver"] = driver and driver.partition("\n")[0]
    elif device.type == "cpu":
        facts["model"] = torch.backends.cpu.get_cpu_capability()
    return facts


def _torch() -> dict[str, Any]:
    """What the library was built from and for; of equal versions, these may differ."""
    import torch

    return {
        "commit": torch.version.git_version,
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "cudnn": torch.backends.cudnn.version(),
        "debug": torch.version.debug,
    }


def _threads() -> dict[str, Any]:
    """How many work together: sums are taken in another order by another number."""
    import torch

    return {
        "processors": os.cpu_count(),
        "operation": torch.get_num_threads(),
        "operations": torch.get_num_interop_threads(),
    }


def _said(program: str, *arguments: str) -> str | None:
    """What a program writes, or None if there is none that works."""
    found = shutil.which(program)
    if found is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            [found, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
